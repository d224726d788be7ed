using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Audit;

/// <summary>Hashes of the last records, as many as a checkpoint may lag behind.</summary>
internal sealed class RecentHeads
{
    private (long Seq, Digest32 Head)[] ring = new (long, Digest32)[1024];

    public void Set(long seq, Digest32 head)
    {
        // Grown only for logs long enough to need it.
        if (ring.Length < AuditCheckpoint.MaxLag && ring[seq % ring.Length].Seq is > 0 and var old && old != seq)
            Grow();
        ring[seq % ring.Length] = (seq, head);
    }

    public Digest32? At(long seq) =>
        seq > 0 && ring[seq % ring.Length].Seq == seq ? ring[seq % ring.Length].Head : null;

    private void Grow()
    {
        var larger = new (long Seq, Digest32 Head)[ring.Length * 2];
        foreach ((long seq, Digest32 head) in ring)
            larger[seq % larger.Length] = (seq, head);
        ring = larger;
    }
}
