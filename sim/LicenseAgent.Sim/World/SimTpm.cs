using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World.Faults;
using LicenseAgent.Tpm;

namespace LicenseAgent.Sim.World;

/// <summary>What ails a TPM at the moment, of all the faults that are open.</summary>
internal sealed class TpmTroubles
{
    public bool Absent { get; set; }

    public bool Lockout { get; set; }

    /// <summary>No session can be started: what needs none goes on.</summary>
    public bool HasNoHandles { get; set; }

    /// <summary>Commands take so much longer; past the driver's deadline they fail.</summary>
    public long SlowUs { get; set; }

    /// <summary>One command in so many fails and may be repeated; 0 = none.</summary>
    public long FlakyOneIn { get; set; }

    /// <summary>One command in so many is done and its response cannot be read; 0 = none.</summary>
    public long GarbledOneIn { get; set; }

    /// <summary>One command in so many is answered "try again" a number of times; 0 = none.</summary>
    public long BusyOneIn { get; set; }

    /// <summary>A command fails.</summary>
    public Countdown FailAtCommand { get; } = new();

    /// <summary>Everything but what waits for its time.</summary>
    public void Ease() => (Absent, Lockout, HasNoHandles, SlowUs, FlakyOneIn, GarbledOneIn, BusyOneIn) =
        (false, false, false, 0, 0, 0, 0);
}

/// <summary>What provisioning made and the chip keeps.</summary>
internal sealed record TpmKeyring(
    byte[] Auth, EcPublicJwk Signing, RsaPublicJwk Decryption, string SrkName, string SigningName,
    string DecryptionName);

/// <summary>
/// The TPM of one node: two keys, a counter, two slots, a mirror, clocks. What it stores survives power cuts; a write
/// of NV in flight at one is torn. Its clock falls back at a power cut and its reset count goes up at every boot.
/// </summary>
internal sealed class SimTpm
{
    private const long ClockSavedEveryMs = 20_000;
    private const int BusyTriesMax = 10;
    private readonly SimLoop _loop;
    private readonly SimRandom _chance;
    private readonly byte[]?[] _slots = new byte[]?[2];
    private TpmKeyring? _keys;
    private byte[]? _mirror;
    private bool _isNvMissing;
    private long _counter;
    private long _clockMs;
    private long _resetCount = 1;
    private long _poweredUs;

    public SimTpm(SimLoop loop, SimRandom chance)
    {
        (_loop, _chance) = (loop, chance);
        _counter = chance.Between(0, 5);
    }

    public TpmTroubles Troubles { get; } = new();

    public long Counter => _counter;

    /// <summary>Commands with an auth value that was not right: each would count towards a lockout.</summary>
    public long AuthFailures { get; private set; }

    public long Commands { get; private set; }

    public TpmClockReading Clock => new(_clockMs + ((_loop.NowUs - _poweredUs) / 1_000), _resetCount, 0);

    public TpmBirth Provision(ReadOnlyMemory<byte> auth, bool replace)
    {
        Command();
        _isNvMissing = false;
        if (_keys is null || replace)
        {
            // What an enrolment defined makes way; the root key belongs to the machine and stays.
            (_slots[0], _slots[1], _mirror) = (null, null, null);
            _keys = new TpmKeyring(
                auth.ToArray(), StandInCrypto.NewSigningKey(_chance), StandInCrypto.NewDecryptionKey(_chance),
                _keys?.SrkName ?? NewName(), NewName(), NewName());
            _counter++;
        }

        if (!_keys.Auth.AsSpan().SequenceEqual(auth.Span))
        {
            throw new TpmUnavailableException(TpmTrouble.Replaced, "The TPM holds keys of another enrolment.");
        }

        return new TpmBirth(
            _keys.Signing, _keys.Decryption,
            new TpmAnchor(_keys.SrkName, _keys.SigningName, _keys.DecryptionName, auth.ToArray()));
    }

    public TpmFacts Open(TpmAnchor anchor)
    {
        Command();
        bool ours = _keys is { } keys && keys.SrkName == anchor.SrkName && keys.SigningName == anchor.SigningName
            && keys.DecryptionName == anchor.DecryptionName;
        if (!ours || _isNvMissing)
        {
            throw new TpmUnavailableException(TpmTrouble.Replaced, "Not the TPM of this enrolment, or not all of it.");
        }

        if (!_keys!.Auth.AsSpan().SequenceEqual(anchor.KeyAuth))
        {
            AuthFailures++;
            throw new TpmUnavailableException(TpmTrouble.Replaced, "The auth value of the keys is another.");
        }

        return new TpmFacts("SIM", "1", 0);
    }

    public byte[] Sign(ReadOnlySpan<byte> digest)
    {
        Command();
        return StandInCrypto.SignDigest(Keys().Signing, digest);
    }

    public int Unwrap(ReadOnlySpan<byte> cipher, Span<byte> plain)
    {
        Command();
        return StandInCrypto.Unwrap(Keys().Decryption, cipher, plain);
    }

    public long ReadCounter()
    {
        NvCommand();
        return _counter;
    }

    public long Increment()
    {
        NvCommand();
        return ++_counter;
    }

    public NvSlot? ReadSlot(int parity)
    {
        NvCommand();
        return _slots[parity] is { } bytes && NvSlot.TryParse(bytes, out NvSlot? slot) ? slot : null;
    }

    public void WriteSlot(int parity, byte[] bytes) => _slots[parity] = bytes;

    /// <summary>A power cut came while the slot was being written.</summary>
    public void TearSlot(int parity, byte[] bytes)
    {
        byte[] torn = (byte[])(_slots[parity] ?? new byte[bytes.Length]).Clone();
        bytes.AsSpan(0, (int)_chance.Below(bytes.Length)).CopyTo(torn);
        _slots[parity] = torn;
    }

    public NvMirror? ReadMirror()
    {
        NvCommand();
        return _mirror is not null && NvMirror.TryParse(_mirror, out NvMirror? mirror) ? mirror : null;
    }

    public void WriteMirror(byte[] bytes) => _mirror = bytes;

    public TpmClockReading ReadClock()
    {
        Command(needsSession: false);
        return Clock;
    }

    public void GetRandom(Span<byte> into)
    {
        Command();
        _chance.Fill(into);
    }

    /// <summary>How long a command is put off before it is taken, or refused for good after so many tries.</summary>
    /// <returns>Microseconds, and whether it was taken at all.</returns>
    public (long Us, bool IsTaken) PutOff()
    {
        if (Troubles.BusyOneIn == 0 || _chance.Below(Troubles.BusyOneIn) != 0)
        {
            return (0, true);
        }

        // As the driver does it: 20 ms doubling to 1 s, ten times in all.
        long tries = _chance.Between(1, BusyTriesMax + 2);
        long us = 0;
        for (int i = 0; i < Math.Min(tries, BusyTriesMax - 1); i++)
        {
            us += Math.Min(20_000L << i, 1_000_000);
        }

        return (us, tries < BusyTriesMax);
    }

    /// <summary>Whether the command that was just done has a response that nobody can read.</summary>
    public bool IsGarbled() => Troubles.GarbledOneIn > 0 && _chance.Below(Troubles.GarbledOneIn) == 0;

    /// <summary>A command on one of the indices.</summary>
    public void NvCommand()
    {
        Command();
        if (_isNvMissing)
        {
            throw new TpmUnavailableException(TpmTrouble.Unavailable, "The TPM has no such index.");
        }
    }

    /// <summary>Every command: counted, and failed while something ails the chip.</summary>
    public void Command(bool needsSession = true)
    {
        Commands++;
        if (Troubles.Lockout)
        {
            throw new TpmUnavailableException(TpmTrouble.Lockout, "The TPM is in dictionary-attack lockout.");
        }

        if (Troubles.FailAtCommand.Falls() || Troubles.Absent || (Troubles.HasNoHandles && needsSession)
            || (Troubles.FlakyOneIn > 0 && _chance.Below(Troubles.FlakyOneIn) == 0))
        {
            throw new TpmUnavailableException(TpmTrouble.Unavailable, "The TPM does not answer.");
        }
    }

    public void PowerUp() => (_resetCount, _poweredUs) = (_resetCount + 1, _loop.NowUs);

    /// <param name="orderly">The operating system said goodbye: the clock is saved to the millisecond.</param>
    public void PowerDown(bool orderly)
    {
        long clock = Clock.ClockMs;
        _clockMs = orderly ? clock : clock - (clock % ClockSavedEveryMs);
        _poweredUs = _loop.NowUs;
    }

    /// <summary>The owner's hierarchy is cleared: keys and indices are gone, the chip's own clocks and counts stay.</summary>
    public void Clear()
    {
        (_keys, _slots[0], _slots[1], _mirror) = (null, null, null, null);
        _counter += _chance.Between(1, 5);
    }

    /// <summary>Somebody undefined the indices; the keys are there. Provisioning defines them again.</summary>
    public void RemoveIndices()
    {
        (_slots[0], _slots[1], _mirror, _isNvMissing) = (null, null, null, true);
        _counter += _chance.Between(1, 5);
    }

    /// <summary>Another chip, with a life of its own behind it.</summary>
    public void Replace()
    {
        Clear();
        (_counter, _clockMs, _resetCount) =
            (_chance.Between(0, 50), _chance.Between(0, 1_000_000_000), _chance.Between(1, 500));
    }

    /// <summary>Everything the chip stores, as a copied state file would hold it.</summary>
    public TpmImage Snapshot() => new(_keys, _slots[0], _slots[1], _mirror, _counter, Clock.ClockMs, _resetCount);

    public void Restore(TpmImage image)
    {
        (_keys, _slots[0], _slots[1], _mirror, _isNvMissing) = (image.Keys, image.Even, image.Odd, image.Mirror, false);
        (_counter, _clockMs, _resetCount, _poweredUs) =
            (image.Counter, image.ClockMs, image.ResetCount, _loop.NowUs);
    }

    private TpmKeyring Keys() => _keys
        ?? throw new TpmUnavailableException(TpmTrouble.Replaced, "The TPM holds no keys of this enrolment.");

    private string NewName()
    {
        byte[] random = new byte[32];
        _chance.Fill(random);
        return "000b" + Convert.ToHexStringLower(SHA256.HashData(random));
    }
}

/// <summary>A copied state of a chip.</summary>
internal sealed record TpmImage(
    TpmKeyring? Keys, byte[]? Even, byte[]? Odd, byte[]? Mirror, long Counter, long ClockMs, long ResetCount);
