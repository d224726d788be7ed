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

    /// <summary>What becomes of a command that fails: nothing, or all of it and its answer is lost; else it is drawn.</summary>
    public bool? LosesAnswer { get; set; }

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
/// A command is <see cref="Begin"/> first, and what it does after it; half of those that fail have done it.
/// </summary>
internal sealed class SimTpm
{
    private const long ClockSavedEveryMs = 20_000;
    private const int BusyTriesMax = 10;
    private readonly SimLoop _loop;
    private readonly SimRandom _chance;
    private readonly SimRandom _late;
    private readonly byte[]?[] _slots = new byte[]?[2];
    private TpmKeyring? _keys;
    private byte[]? _mirror;
    private bool _isNvMissing;
    private long _counter;
    private long _clockMs;
    private long _resetCount = 1;
    private long _poweredUs;

    /// <param name="late">Whether a command that fails takes effect.</param>
    public SimTpm(SimLoop loop, SimRandom chance, SimRandom late)
    {
        (_loop, _chance, _late) = (loop, chance, late);
        _counter = chance.Between(0, 5);
    }

    public TpmTroubles Troubles { get; } = new();

    /// <summary>Commands with an auth value that was not right: each would count towards a lockout.</summary>
    public long AuthFailures { get; private set; }

    public long Commands { get; private set; }

    public TpmClockReading Clock => new(_clockMs + ((_loop.NowUs - _poweredUs) / 1_000), _resetCount, 0);

    /// <summary>A command begins: counted, and failed while something ails the chip.</summary>
    /// <param name="timesOut">The driver will not have its answer in time.</param>
    /// <param name="needsSession">The chip has to have a handle free for it.</param>
    /// <returns>It takes effect, and its answer is lost.</returns>
    public bool Begin(bool timesOut, bool needsSession = true)
    {
        Commands++;
        if (Troubles.Lockout)
        {
            throw new TpmUnavailableException(TpmTrouble.Lockout, "The TPM is in dictionary-attack lockout.");
        }

        bool isTheOne = Troubles.FailAtCommand.Falls();
        if (Troubles.Absent || (Troubles.HasNoHandles && needsSession))
        {
            throw NoAnswer();
        }

        bool fails = isTheOne || timesOut || (Troubles.FlakyOneIn > 0 && _chance.Below(Troubles.FlakyOneIn) == 0);
        bool isDone = fails && ((isTheOne ? Troubles.LosesAnswer : null) ?? _late.Chance(0.5));
        if (fails && !isDone)
        {
            throw NoAnswer();
        }

        // It is done, and its response cannot be read.
        return isDone || (Troubles.GarbledOneIn > 0 && _chance.Below(Troubles.GarbledOneIn) == 0);
    }

    public static TpmUnavailableException NoAnswer() => new(TpmTrouble.Unavailable, "The TPM does not answer.");

    /// <summary>What an enrolment defined makes way; the root key belongs to the machine and stays.</summary>
    public void MakeWay()
    {
        (_slots[0], _slots[1], _mirror) = (null, null, null);
        _keys = _keys is null ? null : _keys with { SigningName = "", DecryptionName = "" };
    }

    /// <summary>Makes the keys, where there are none.</summary>
    public void MakeKeys(ReadOnlyMemory<byte> auth)
    {
        _isNvMissing = false;
        if (_keys is null or { SigningName: "" })
        {
            (_slots[0], _slots[1], _mirror) = (null, null, null);
            _keys = new TpmKeyring(
                auth.ToArray(), StandInCrypto.NewSigningKey(_chance), StandInCrypto.NewDecryptionKey(_chance),
                _keys?.SrkName ?? NewName(), NewName(), NewName());
            _counter++;
        }
    }

    /// <summary>What was made, for who knows its auth value.</summary>
    public TpmBirth Birth(ReadOnlyMemory<byte> auth)
    {
        TpmKeyring keys = Keys();
        RequireAuth(keys, auth.Span);
        return new TpmBirth(
            keys.Signing, keys.Decryption,
            new TpmAnchor(keys.SrkName, keys.SigningName, keys.DecryptionName, auth.ToArray()));
    }

    /// <summary>Whoever uses keys or NV indices is held to this; names first, or auth values were tried in vain.</summary>
    public void Require(TpmAnchor anchor)
    {
        bool ours = _keys is { } keys && keys.SrkName == anchor.SrkName && keys.SigningName == anchor.SigningName
            && keys.DecryptionName == anchor.DecryptionName;
        if (!ours || _isNvMissing)
        {
            throw new TpmUnavailableException(TpmTrouble.Replaced, "Not the TPM of this enrolment, or not all of it.");
        }

        RequireAuth(_keys!, anchor.KeyAuth);
    }

    public byte[] Sign(ReadOnlySpan<byte> digest) => StandInCrypto.SignDigest(Keys().Signing, digest);

    public int Unwrap(ReadOnlySpan<byte> cipher, Span<byte> plain) =>
        StandInCrypto.Unwrap(Keys().Decryption, cipher, plain);

    public long ReadCounter() => _counter;

    public void Increment() => _counter++;

    public NvSlot? ReadSlot(int parity) =>
        _slots[parity] is { } bytes && NvSlot.TryParse(bytes, out NvSlot? slot) ? slot : null;

    public void WriteSlot(int parity, byte[] bytes) => _slots[parity] = bytes;

    /// <summary>A power cut came while the slot was being written.</summary>
    public void TearSlot(int parity, byte[] bytes)
    {
        byte[] torn = (byte[])(_slots[parity] ?? new byte[bytes.Length]).Clone();
        bytes.AsSpan(0, (int)_chance.Below(bytes.Length)).CopyTo(torn);
        _slots[parity] = torn;
    }

    public NvMirror? ReadMirror() =>
        _mirror is not null && NvMirror.TryParse(_mirror, out NvMirror? mirror) ? mirror : null;

    public void WriteMirror(byte[] bytes) => _mirror = bytes;

    public void GetRandom(Span<byte> into) => _chance.Fill(into);

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

    private void RequireAuth(TpmKeyring keys, ReadOnlySpan<byte> auth)
    {
        if (!keys.Auth.AsSpan().SequenceEqual(auth))
        {
            AuthFailures++;
            throw new TpmUnavailableException(TpmTrouble.Replaced, "The TPM holds keys under another auth value.");
        }
    }

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
