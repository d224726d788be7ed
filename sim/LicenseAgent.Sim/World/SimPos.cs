using System.Text;
using System.Text.Json;
using Bogus;
using Bogus.DataSets;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>
/// The applications of one till. They hold licenses, ask whether they are good, keep what they are given anew, and now
/// and then use a nonce twice, over restarts too.
/// </summary>
internal sealed class SimPos
{
    private const int WalletSize = 6;
    private const double FromTheDrawer = 0.05;
    private const int DrawerSize = 256;
    private const int NoncesKept = 32;
    private const long NewLicenseEveryUs = 20L * 3_600 * 1_000_000;

    private static readonly uint[] Uids = [1000, 1001];

    private readonly SimLoop _loop;
    private readonly Chronicle _history;
    private readonly SimServer _server;
    private readonly SimTill _till;
    private readonly Knobs _knobs;
    private readonly SimRandom _chance;
    private readonly SimRandom _odd;
    private readonly SimRandom _old;

    // Not a Faker, which compiles expressions of its own for every instance.
    private readonly Commerce _commerce;
    private readonly Company _company;
    private readonly List<(string License, string Token)> _wallet = [];

    // The first token under each version: some machine never takes a renewed one.
    private readonly SortedDictionary<long, (string License, string Token)> _drawer = [];
    private readonly List<(uint Uid, Nonce16 Nonce)> _used = [];
    private long _mintedUs = long.MinValue / 2;
    private int _licenses;
    private int _process;

    public SimPos(SimLoop loop, Chronicle history, SimServer server, SimTill till, Knobs knobs)
    {
        (_loop, _history, _server, _till, _knobs) = (loop, history, server, till, knobs);
        _chance = till.Stream("pos");
        _odd = till.Stream("pos-odd");
        _old = till.Stream("pos-old");
        Randomizer names = new((int)(_chance.Next() >> 33));
        (_commerce, _company) = (new Commerce { Random = names }, new Company { Random = names });
        Schedule();
    }

    /// <summary>Ids of the licenses this till ever had.</summary>
    public IEnumerable<string> Licenses => _wallet.Select(w => w.License);

    public bool IsOf(SimTill till) => ReferenceEquals(till, _till);

    private void Schedule() => _loop.After(1_000_000 + _chance.Exponential(_knobs.PosEveryS * 1_000_000L), () =>
    {
        Validate();
        Schedule();
    });

    /// <summary>Somebody pays, or so many at a time.</summary>
    public void Validate()
    {
        RenewWallet();
        long together = _knobs.Burst > 1 ? _odd.Between(1, _knobs.Burst) : 1;
        for (; together > 0 && _wallet.Count > 0 && _till.IsRunning && !_till.IsStopped; together--)
        {
            ValidateOne();
        }
    }

    /// <summary>A license made now, under the secret that the server has for ACTIVE, must be good.</summary>
    public void AskLast()
    {
        if (Mint() is not var (license, token))
        {
            return;
        }

        Span<byte> bytes = stackalloc byte[16];
        _old.Fill(bytes);
        byte[] body = Encoding.UTF8.GetBytes(
            $$"""{"license_token":"{{token}}","nonce":"{{Nonce16.From(bytes)}}"}""");
        _till.Call(
            admin: false, new PeerCredentials(Uids[0], Uids[0], 77), "POST", LocalPaths.ValidateLicense, body,
            (status, answer) => _history.Add(new AskedAtEnd(
                _loop.NowUs, _till.Id, status == 0 ? "nothing runs" : ReasonOf(answer))));
    }

    private static string ReasonOf(byte[] answer)
    {
        using JsonDocument json = JsonDocument.Parse(answer);
        JsonElement root = json.RootElement;
        return (root.TryGetProperty("reason", out JsonElement r) ? r : root.GetProperty("code")).GetString()!;
    }

    private void ValidateOne()
    {
        // Mostly the newest, for that is what an application stores; now and then another one, and rarely one of long ago.
        int at = _chance.Chance(0.7) ? _wallet.Count - 1 : (int)_chance.Below(_wallet.Count);
        (string license, string token) = _old.Chance(FromTheDrawer) ? Outlived() : _wallet[at];
        (uint uid, Nonce16 nonce, bool fresh) = IsNewProcess() && _used.Count > 0 && _odd.Chance(0.5)
            ? Again(_used[^1])
            : NextNonce();
        Ask(license, token, uid, nonce, fresh);
        if (_odd.Chance(_knobs.OddCalls / 1_000.0))
        {
            OddCaller.Call(_loop, _history, _till, token, _odd);
        }
    }

    /// <summary>A token whose secret has come to its end, the latest that has; while there is none, any of the drawer.</summary>
    private (string License, string Token) Outlived()
    {
        SortedDictionary<long, ServerVersion> versions = _server.Find(_till.Id)!.Versions;
        foreach ((long version, (string License, string Token) kept) in _drawer.Reverse())
        {
            if (versions.TryGetValue(version, out ServerVersion? row) && row.GraceUntil < _server.Now)
            {
                return kept;
            }
        }

        return _old.Pick([.. _drawer.Values]);
    }

    /// <summary>The first call after a restart: who recorded a nonce tries it then.</summary>
    private bool IsNewProcess()
    {
        bool isNew = _till.Processes != _process;
        _process = _till.Processes;
        return isNew;
    }

    private void Ask(string license, string token, uint uid, Nonce16 nonce, bool fresh)
    {
        byte[] body = Encoding.UTF8.GetBytes(
            $$"""{"license_token":"{{token}}","nonce":"{{nonce}}"}""");
        LogPlace asked = _till.Audit.End;
        _till.Call(
            admin: false, new PeerCredentials(uid, uid, 77), "POST", LocalPaths.ValidateLicense, body,
            (status, answer) => Note(new AskedFor(license, token, uid, nonce, fresh, asked), status, answer));
    }

    private void Note(AskedFor asked, int status, byte[] answer)
    {
        if (status == 0)
        {
            return;
        }

        using JsonDocument json = JsonDocument.Parse(answer);
        JsonElement root = json.RootElement;
        string reason = string.Intern(
            (root.TryGetProperty("reason", out JsonElement r) ? r : root.GetProperty("code")).GetString()!);
        string mode = root.TryGetProperty("mode", out JsonElement m) ? string.Intern(m.GetString()!) : "";
        long version = LicenseToken.TryParseShape(Encoding.ASCII.GetBytes(asked.Token), out LicenseTokenShape shape)
            ? shape.Version
            : 0;

        // Of a nonce that was accepted long ago a record is there already, and says nothing of this call.
        bool audited = _till.Audit.HasSince(asked.LogEnd, Encoding.ASCII.GetBytes(asked.Nonce.ToString()));
        _history.Add(new Validated(
            _loop.NowUs, _till.Id, asked.Uid, asked.Nonce, asked.License, version, status, reason, mode, audited,
            asked.Fresh));
        _till.Look();
        if (root.TryGetProperty("renewed_token", out JsonElement renewed))
        {
            Store(asked.License, renewed.GetString()!);
        }
    }

    /// <summary>A license of the vendor, now and then, over a way of his own.</summary>
    private void RenewWallet()
    {
        if (_loop.NowUs - _mintedUs < NewLicenseEveryUs)
        {
            return;
        }

        if (Mint() is var (license, token))
        {
            _mintedUs = _loop.NowUs;
            Store(license, token);
        }
    }

    private (string License, string Token)? Mint()
    {
        string license = $"lic-{_till.Id}-{_licenses + 1}";
        long now = SimServer.At(_loop.NowUs).UnixSeconds;
        LicenseClaims claims = new(
            SimServer.Name, license, [_till.Id], $"jti-{_till.Id}-{_licenses + 1}", now, now, now + (40 * 86_400),
            _commerce.ProductName(), [_commerce.Department(), _commerce.ProductMaterial()],
            new Dictionary<string, string> { ["store"] = _company.CompanyName() });
        if (_server.Mint(_till.Id, claims) is { } minted)
        {
            _licenses++;
            _history.Add(new Minted(_loop.NowUs, _till.Id, license, minted.Version));
            return (license, minted.Token);
        }

        return null;
    }

    private void Store(string license, string token)
    {
        if (LicenseToken.TryParseShape(Encoding.ASCII.GetBytes(token), out LicenseTokenShape shape)
            && _drawer.TryAdd(shape.Version, (license, token)) && _drawer.Count > DrawerSize)
        {
            _drawer.Remove(_drawer.Keys.First());
        }

        _wallet.Add((license, token));
        if (_wallet.Count > WalletSize)
        {
            _wallet.RemoveAt(0);
        }
    }

    private static (uint Uid, Nonce16 Nonce, bool Fresh) Again((uint Uid, Nonce16 Nonce) used) =>
        (used.Uid, used.Nonce, false);

    private (uint Uid, Nonce16 Nonce, bool Fresh) NextNonce()
    {
        if (_used.Count > 0 && _chance.Below(1_000) < _knobs.RepeatNonces)
        {
            return Again(_used[Math.Max(0, _used.Count - 1 - (int)_chance.Below(4))]);
        }

        Span<byte> bytes = stackalloc byte[16];
        _chance.Fill(bytes);
        (uint Uid, Nonce16 Nonce) fresh = (_chance.Pick(Uids), Nonce16.From(bytes));
        _used.Add(fresh);
        if (_used.Count > NoncesKept)
        {
            _used.RemoveAt(0);
        }

        return (fresh.Uid, fresh.Nonce, true);
    }

    /// <summary>A question on its way.</summary>
    /// <param name="Fresh">This user never sent this nonce before.</param>
    /// <param name="LogEnd">Where the till's log ended when it was sent.</param>
    private sealed record AskedFor(
        string License, string Token, uint Uid, Nonce16 Nonce, bool Fresh, LogPlace LogEnd);
}
