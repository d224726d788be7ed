using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Esys;

/// <summary>
/// Transient objects and sessions in the TPM's few slots, found and flushed by handle: tpm2-tss knows only those
/// that its own context made, and a connection that broke leaves its own behind.
/// </summary>
internal static class LooseHandles
{
    private const uint CommandFlushContext = 0x165;
    private const uint CommandGetCapability = 0x17A;
    private const uint CapHandles = 1;
    private const int CountMax = 128;

    // Ranges of TPM_HT: transient objects, loaded sessions, sessions whose context was saved outside.
    private static readonly uint[] s_ranges = [0x80000000, 0x02000000, 0x03000000];

    /// <summary>TPM2_Startup(CLEAR), which an emulator may still need; "already started" is as good.</summary>
    public static void StartUp(Tcti tcti)
    {
        // TPM_SU is 16 bits wide, so this command does not have the shape of the others here.
        byte[] command = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0];
        var rc = TpmFrame.Code(tcti.Exchange(command));
        if (rc is not (0 or ResponseCodes.Initialize)) throw Failed("Startup", rc);
    }

    public static IReadOnlyList<uint> List(Tcti tcti)
    {
        var found = new List<uint>();
        foreach (var range in s_ranges)
        {
            var response = tcti.Exchange(TpmFrame.Command(CommandGetCapability, CapHandles, range, CountMax));
            var rc = TpmFrame.Code(response);
            if (rc != 0) throw Failed("GetCapability", rc);
            var reader = new TpmReader(response[TpmFrame.HeaderSize..]);
            reader.Skip(1 + 4);
            var count = reader.U32();
            if (count > CountMax) throw TpmFrame.Bad($"it lists {count} handles");
            for (var i = 0u; i < count; i++) found.Add(reader.U32());
        }

        return found;
    }

    public static void Flush(Tcti tcti)
    {
        foreach (var handle in List(tcti))
        {
            var rc = TpmFrame.Code(tcti.Exchange(TpmFrame.Command(CommandFlushContext, handle)));
            if (rc != 0) throw Failed("FlushContext", rc);
        }
    }

    private static TpmException Failed(string command, uint rc) => new(
        TpmFailure.CommandFailed,
        $"{command} failed with {ResponseCodes.Describe(rc)}; reset the TPM by restarting the machine or the emulator.",
        rc);
}
