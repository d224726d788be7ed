using System.Text;
using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>
/// What the TPM says about itself without any key: clock and properties. Both are public and unauthenticated.
/// </summary>
internal static class TpmFacts
{
    private const uint CapTpmProperties = 6;

    // TPM_PT: the fixed group starts at 0x100, the variable one at 0x200.
    private const uint Manufacturer = 0x105;
    private const uint FirmwareVersion1 = 0x10B;
    private const uint FirmwareVersion2 = 0x10C;
    private const uint Permanent = 0x200;
    private const uint LockoutCounter = 0x20E;
    private const uint MaxAuthFail = 0x20F;
    private const uint LockoutInterval = 0x210;
    private const uint LockoutRecovery = 0x211;

    private const uint OwnerAuthSetBit = 1u << 0;
    private const uint InLockoutBit = 1u << 9;
    private const int GroupSize = 64;

    public static TpmClock ReadClock(TpmLink link)
    {
        var rc = EsysNative.ReadClock(link.Esys, EsysNative.None, EsysNative.None, EsysNative.None, out var time);
        link.Check(rc, "ReadClock");
        using var output = new EsysOutput(time);
        var reader = new TpmReader(output.ToWire(MuType.TimeInfo));
        reader.Skip(8);
        return new TpmClock(reader.U64(), reader.U32(), reader.U32(), reader.U8() == 1);
    }

    public static TpmProperties ReadProperties(TpmLink link)
    {
        var values = new Dictionary<uint, uint>();
        ReadGroup(link, 0x100, values);
        ReadGroup(link, 0x200, values);

        var maker = new byte[4];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(maker, values.GetValueOrDefault(Manufacturer));
        var major = values.GetValueOrDefault(FirmwareVersion1);
        var minor = values.GetValueOrDefault(FirmwareVersion2);
        var permanent = values.GetValueOrDefault(Permanent);
        return new TpmProperties(
            Encoding.ASCII.GetString(maker).TrimEnd('\0', ' '),
            $"{major:x8}.{minor:x8}",
            (permanent & OwnerAuthSetBit) != 0,
            (permanent & InLockoutBit) != 0,
            values.GetValueOrDefault(LockoutCounter),
            values.GetValueOrDefault(MaxAuthFail),
            TimeSpan.FromSeconds(values.GetValueOrDefault(LockoutInterval)),
            TimeSpan.FromSeconds(values.GetValueOrDefault(LockoutRecovery)));
    }

    private static void ReadGroup(TpmLink link, uint first, Dictionary<uint, uint> values)
    {
        var rc = EsysNative.GetCapability(
            link.Esys, EsysNative.None, EsysNative.None, EsysNative.None, CapTpmProperties, first, GroupSize, out _,
            out var data);
        link.Check(rc, "GetCapability");
        using var output = new EsysOutput(data);
        var reader = new TpmReader(output.ToWire(MuType.CapabilityData));
        reader.Skip(4);
        var count = reader.U32();
        if (count > GroupSize) throw TpmFrame.Bad($"it lists {count} properties");
        for (var i = 0u; i < count; i++) values[reader.U32()] = reader.U32();
    }
}
