namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// The kept receipts, one signed check-in answer a line, the newest last. The newest alone shows a cut tail and a
/// rewritten past; the others are for when it is gone, and convict a server that contradicts itself. So a row of the
/// last ones is kept and not a history: who needs one copies the file.
/// </summary>
internal static class ReceiptRow
{
    public const int ReceiptsMax = 16;

    // An answer that brings a long list of revocations is large; then fewer older ones stay beside it.
    public const int OlderBytesMax = 64 * 1024;

    public static byte[] Added(ReadOnlySpan<byte> row, ReadOnlySpan<byte> newest)
    {
        var older = new List<byte[]>();
        int bytes = 0;
        for (ReadOnlySpan<byte> rest = row.TrimEnd((byte)'\n'); !rest.IsEmpty && older.Count < ReceiptsMax - 1;)
        {
            int begin = rest.LastIndexOf((byte)'\n') + 1;
            ReadOnlySpan<byte> line = rest[begin..];
            rest = rest[..Math.Max(0, begin - 1)];
            bytes += line.Length + 1;
            if (bytes > OlderBytesMax)
                break;
            older.Insert(0, line.ToArray());
        }

        return [.. older.SelectMany(line => line.Append((byte)'\n')), .. newest, (byte)'\n'];
    }
}
