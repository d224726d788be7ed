using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>
/// The agent's keys and NV indices on one connection, after everything was found to be what was recorded at
/// enrolment. Every call opens a session of its own and flushes it. Used by the TPM worker's thread alone.
/// </summary>
internal sealed class BoundTpm
{
    private const int RandomChunkMax = 32;
    private const string ReplaceRemedy =
        "If the till has another TPM or its own was cleared, enrol anew: license-agent-cli enroll --replace "
        + "--bundle FILE.";

    private readonly TpmLink _link;
    private readonly uint _srk;
    private readonly uint _signing;
    private readonly uint _decryption;
    private readonly Dictionary<uint, uint> _nv = [];

    private BoundTpm(TpmLink link, uint srk, uint signing, uint decryption)
    {
        _link = link;
        _srk = srk;
        _signing = signing;
        _decryption = decryption;
    }

    /// <summary>Checks the TPM against the binding; nothing is created, changed or sealed anew here.</summary>
    public static BoundTpm Verify(TpmLink link, TpmBinding binding)
    {
        var srk = link.Attach(TpmOptions.SrkHandle)
            ?? throw Replaced($"no storage root key at 0x{TpmOptions.SrkHandle:x8}");
        if (!link.NameOf(srk).AsSpan().SequenceEqual(binding.SrkName.Span))
            throw Replaced($"the storage root key at 0x{TpmOptions.SrkHandle:x8} is not the one recorded at enrolment");

        var auth = binding.KeyAuth.Span;
        var signing = AttachKey(link, link.Options.SigningHandle, "signing", binding.SigningName.Span, auth);
        var decryption = AttachKey(
            link, link.Options.DecryptionHandle, "decryption", binding.DecryptionName.Span, auth);
        var bound = new BoundTpm(link, srk, signing, decryption);
        foreach (var index in NvLayout.All) bound._nv[index.Handle] = AttachNv(link, index, auth);
        return bound;
    }

    /// <summary>Forgets the objects in the library's context; the TPM keeps them, they are persistent.</summary>
    public void Close()
    {
        foreach (var tr in (uint[])[_srk, _signing, _decryption, .. _nv.Values]) _link.Close(tr);
    }

    public TpmState ReadState()
    {
        // The first use of the auth value; a wrong one shows here and not in the middle of a rotation.
        using var session = TpmSession.Start(_link, _srk);
        var counter = ReadCounter(session);
        return new TpmState(
            counter, Read(session, NvLayout.EvenSlotIndex), Read(session, NvLayout.OddSlotIndex),
            Read(session, NvLayout.MirrorIndex), TpmFacts.ReadClock(_link));
    }

    public byte[] Sign(ReadOnlySpan<byte> digest)
    {
        using var session = TpmSession.Start(_link, _srk);
        return KeyUse.Sign(_link, session, _signing, digest);
    }

    public int Unwrap(ReadOnlySpan<byte> ciphertext, Span<byte> destination)
    {
        using var session = TpmSession.Start(_link, _srk);
        return KeyUse.Decrypt(_link, session, _decryption, ciphertext, destination);
    }

    public void GetRandom(Span<byte> destination)
    {
        using var session = TpmSession.Start(_link, _srk);
        while (destination.Length > 0)
        {
            var wanted = Math.Min(destination.Length, RandomChunkMax);
            var rc = EsysNative.GetRandom(
                _link.Esys, session.ForEncryptionAlone(Encrypt.Response), EsysNative.None, EsysNative.None,
                (ushort)wanted, out var random);
            _link.Check(rc, "GetRandom");
            using var output = new EsysOutput(random);
            var count = output.CopyContent(MuType.Digest, destination[..wanted]);
            _link.WipeLastResponse();
            if (count <= 0) throw TpmFrame.Bad("it holds no random bytes, or more than were asked for");
            destination = destination[count..];
        }
    }

    public ulong ReadCounter()
    {
        using var session = TpmSession.Start(_link, _srk);
        return ReadCounter(session);
    }

    private ulong ReadCounter(TpmSession session)
    {
        var bytes = Read(session, NvLayout.CounterIndex)
            ?? throw Replaced("the generation counter was never incremented");
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }

    public ulong IncrementCounter()
    {
        using var session = TpmSession.Start(_link, _srk);
        NvUse.Increment(_link, session, _nv[NvLayout.CounterIndex]);
        return ReadCounter(session);
    }

    public byte[]? Read(uint index)
    {
        using var session = TpmSession.Start(_link, _srk);
        return Read(session, index);
    }

    private byte[]? Read(TpmSession session, uint index)
    {
        var size = NvLayout.All.First(i => i.Handle == index).Size;
        var bytes = NvUse.Read(_link, session, _nv[index], size);
        return bytes is null || bytes.AsSpan().IndexOfAnyExcept((byte)0xFF) < 0 ? null : bytes;
    }

    public void Write(uint index, ReadOnlySpan<byte> bytes)
    {
        using var session = TpmSession.Start(_link, _srk);
        NvUse.Write(_link, session, _nv[index], bytes);
    }

    private static uint AttachKey(
        TpmLink link, uint handle, string use, ReadOnlySpan<byte> recordedName, ReadOnlySpan<byte> auth)
    {
        var key = link.Attach(handle) ?? throw new TpmException(
            TpmFailure.NotProvisioned,
            $"There is no {use} key at 0x{handle:x8}; somebody evicted it. {ReplaceRemedy}");
        if (!link.NameOf(key).AsSpan().SequenceEqual(recordedName))
            throw Replaced($"the {use} key at 0x{handle:x8} is not the one recorded at enrolment");
        link.SetAuth(key, auth);
        return key;
    }

    private static uint AttachNv(TpmLink link, NvIndex expected, ReadOnlySpan<byte> auth)
    {
        var nv = link.Attach(expected.Handle) ?? throw Replaced($"the NV index 0x{expected.Handle:x8} is gone");
        var (found, written) = NvUse.ReadPublic(link, nv);
        if (found != expected)
        {
            throw Replaced(
                $"the NV index 0x{expected.Handle:x8} has attributes 0x{found.Attributes:x8} and {found.Size} bytes "
                + $"instead of 0x{expected.Attributes:x8} and {expected.Size}");
        }

        if (expected.Handle == NvLayout.CounterIndex && !written)
            throw Replaced("the generation counter was defined anew");
        link.SetAuth(nv, auth);
        return nv;
    }

    private static TpmException Replaced(string fact) =>
        new(TpmFailure.Replaced, $"This is not the TPM state of the enrolment: {fact}. {ReplaceRemedy}");
}
