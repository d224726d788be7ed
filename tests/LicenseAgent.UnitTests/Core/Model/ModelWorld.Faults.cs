using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>What goes wrong in a history.</summary>
internal sealed partial class ModelWorld
{
    private void GoWrong()
    {
        Faults[] possible = [.. Enum.GetValues<Faults>().Where(f => f != Faults.None && _faults.HasFlag(f))];
        if (possible.Length == 0)
        {
            return;
        }

        switch (possible[_random.Next(possible.Length)])
        {
            case Faults.Network: Network(); break;
            case Faults.Kills: Kill(); break;
            case Faults.Storage: Storage(); break;
            case Faults.Tpm:
                Till.HasTpm = !Till.HasTpm;
                Note($"TPM {Till.HasTpm}");
                break;
            case Faults.Time: PassTime(); break;
            case Faults.Orders: Order(); break;
            case Faults.Restores: BackUpOrRestore(); break;
            case Faults.Files: LoseFile(); break;
        }
    }

    private void Network()
    {
        switch (_random.Next(6))
        {
            case 0 when _requests.Count > 0:
                _requests.RemoveAt(_random.Next(_requests.Count));
                Note("request lost");
                break;
            case 1 when _answers.Count > 0:
                _answers.RemoveAt(_random.Next(_answers.Count));
                Note("answer lost");
                break;
            case 2 when _requests.Count > 0:
                // A copy arrives now, the original later or never: its answer is dropped or overtaken.
                ModelRequest copy = _requests[_random.Next(_requests.Count)];
                ModelAnswer answer = Serve(copy);
                if (_random.Next(2) == 0)
                {
                    _answers.Add(answer);
                }

                break;
            case 3 when _requests.Count > 0:
                // A request of long ago arrives; nobody waits for its answer any more.
                _answers.Add(Serve(_requests[0]));
                _requests.RemoveAt(0);
                break;
            case 4 when _answers.Count > 0:
                Till.Answer(_answers[_random.Next(_answers.Count)]);
                Note("late answer");
                break;
            default:
                if (Till.Outstanding is not null)
                {
                    Note("timeout");
                    Till.Pass(30_000);
                    Till.TimeOut();
                }

                break;
        }
    }

    private void Kill()
    {
        if (_random.Next(3) > 0)
        {
            Till.BoundariesUntilKill = _random.Next(8);
            return;
        }

        Note("killed");
        Till.Kill();
        Till.Pass(_random.Next(2) == 0 ? 1_000 : 3_600_000L * _random.Next(1, 30));
    }

    private void Storage()
    {
        if (Till.Under is not (null or AgentEffect.Send or AgentEffect.ProbeTpm) && _random.Next(2) == 0)
        {
            Note($"fails: {Till.Under.GetType().Name}");
            Till.Complete(fails: true, Server.Enrol);
            return;
        }

        Till.WritesUntilFailure = _random.Next(6);
    }

    private void PassTime()
    {
        while (Till.Outstanding is not null)
        {
            // No answer is taken that comes later than the deadline of its request.
            Till.TimeOut();
        }

        long[] spans = [1_000, 60_000, 600_000, 3_600_000, 12 * 3_600_000L, 72 * 3_600_000L];
        long span = spans[_random.Next(spans.Length)];
        Note($"{span} ms pass");
        Till.Pass(span);
        Till.Tick();
    }

    private void Order()
    {
        switch (_random.Next(9))
        {
            case 0:
                Till.AskRotation();
                break;
            case 1:
                long[] held = [.. Views.Usable(Till.State).Select(u => u.Entry.Version)];
                if (held.Length > 0)
                {
                    long version = held[_random.Next(held.Length)];
                    Rules.OnOrdered(version);
                    Till.AskInvalidation(version);
                }

                break;
            case 2:
                Server.Suspended = !Server.Suspended;
                break;
            case 3:
                Server.GraceLimit = _random.Next(2) == 0 ? null : Till.Real + TimeSpan.FromHours(_random.Next(100));
                break;
            case 4:
                Server.RotateAbove = Server.Active;
                break;
            case 5 when _random.Next(3) == 0:
                Server.InvalidateBelow(Math.Max(1, Server.Highest + 1 - _random.Next(3)));
                break;
            case 6:
                Server.RevocationsVersion++;
                break;
            default:
                Till.AskRotation();
                break;
        }

        Note("order");
    }

    private void BackUpOrRestore()
    {
        if (_random.Next(2) == 0)
        {
            _backup = Server.Copy();
            return;
        }

        Server = _backup.Copy();
        Rules.Excuse("the server was restored");
        Note("server restored");
    }

    private void LoseFile()
    {
        Note("killed, and files are lost");
        Till.Kill();
        ModelDisk disk = Till.Disk;
        switch (_random.Next(4))
        {
            case 0:
                disk.Run = null;
                break;
            case 1 when _oldRuns.Count > 0:
                disk.Run = _oldRuns.Peek();
                break;
            case 2 when disk.Files.Count > 0:
                disk.Files = disk.Files.Remove(disk.Files.Keys.ElementAt(_random.Next(disk.Files.Count)));
                break;
            default:
                disk.IsStateLost = disk.EnrolledHighest is not null;
                break;
        }

        Rules.OnFilesLost();
    }
}
