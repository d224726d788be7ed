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
        ReadOnlySpan<byte> whole = row.TrimEnd((byte)'\n');
        int from = whole.Length;
        for (int kept = 0; from > 0 && kept < ReceiptsMax - 1; kept++)
        {
            int begin = whole[..Math.Max(0, from - 1)].LastIndexOf((byte)'\n') + 1;
            if (whole.Length - begin + 1 > OlderBytesMax)
                break;
            from = begin;
        }

        ReadOnlySpan<byte> older = whole[from..];
        return older.IsEmpty ? [.. newest, (byte)'\n'] : [.. older, (byte)'\n', .. newest, (byte)'\n'];
    }
}
