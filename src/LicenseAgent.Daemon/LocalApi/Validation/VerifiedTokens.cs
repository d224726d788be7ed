using System.Collections.Concurrent;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.LocalApi.Validation;

/// <summary>
/// Tokens verified lately, by SHA-256 of their bytes: saves decryption and signature check and nothing else. Two
/// generations: when the young one has reached its share of bytes it becomes the old one and the old one is forgotten,
/// so a token in use survives and a flood of others costs at most twice the share. Reads take no lock.
/// </summary>
internal sealed class VerifiedTokens(int generationBytes = 2 * 1024 * 1024)
{
    private readonly Lock _turning = new();
    private Generation _young = new();
    private Generation _old = new();

    /// <summary>The entry, unless another keyset judged it.</summary>
    public VerifiedToken? Find(Digest32 digest, long keysetVersion)
    {
        if (Volatile.Read(ref _young).Tokens.TryGetValue(digest, out VerifiedToken? known))
            return known.KeysetVersion == keysetVersion ? known : null;
        if (!Volatile.Read(ref _old).Tokens.TryGetValue(digest, out known) || known.KeysetVersion != keysetVersion)
            return null;
        Add(digest, known);
        return known;
    }

    public void Add(Digest32 digest, VerifiedToken token)
    {
        lock (_turning)
        {
            // A token judged by an older keyset is replaced and its weight counted again: that only turns earlier.
            _young.Tokens[digest] = token;
            _young.Bytes += token.Weight;
            if (_young.Bytes >= generationBytes)
            {
                Volatile.Write(ref _old, _young);
                Volatile.Write(ref _young, new Generation());
            }
        }
    }

    private sealed class Generation
    {
        public ConcurrentDictionary<Digest32, VerifiedToken> Tokens { get; } = new();

        public long Bytes { get; set; }
    }
}
