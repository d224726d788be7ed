using System.Buffers.Binary;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Cli.Offline;

/// <summary>
/// The 64 bytes of NV index 0x01818A04 as tpm2_nvread puts them out: the point of the log that the TPM remembers.
/// </summary>
internal static class NvMirrorFile
{
    private const int Bytes = 64;
    private const int SeqOffset = 8;
    private const int HeadOffset = 16;
    private const int ChecksumOffset = 48;

    public static AuditAnchor? Read(string path)
    {
        byte[] bytes = InputFile.Read(path, Bytes);
        if (bytes.Length != Bytes
            || !SHA256.HashData(bytes.AsSpan(0, ChecksumOffset)).AsSpan(0, Bytes - ChecksumOffset)
                .SequenceEqual(bytes.AsSpan(ChecksumOffset)))
        {
            throw new UsageException($"{path} is not the NV mirror: 64 bytes with their checksum.");
        }

        long seq = BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(SeqOffset));
        return seq == 0
            ? null
            : new AuditAnchor(
                "the NV mirror", new AuditPoint(seq, Digest32.From(bytes.AsSpan(HeadOffset, Digest32.Length))));
    }
}
