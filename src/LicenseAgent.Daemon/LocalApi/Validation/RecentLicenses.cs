using System.Collections.Concurrent;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Daemon.LocalApi.Validation;

/// <summary>
/// The last 64 licenses presented, for the status calls. Seeing a known one again takes no lock; a new one beyond the
/// limit pushes out the one seen longest ago.
/// </summary>
internal sealed class RecentLicenses
{
    private const int LicensesMax = 64;

    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, Sight> _byId = new(StringComparer.Ordinal);

    public void Note(VerifiedToken token, string reason, UtcTime now)
    {
        LicenseClaims claims = token.Claims;
        if (!_byId.TryGetValue(claims.Sub, out Sight? sight))
            sight = Add(claims);
        sight.Last = new Seen(claims, reason, now);
    }

    public IReadOnlyList<LicenseView> Views() =>
    [
        .. _byId.Values.Select(sight => sight.Last).OrderByDescending(seen => seen.At.UnixMs)
            .Select(seen => new LicenseView(
                seen.Claims.Sub, seen.Claims.Product, seen.Claims.ExpiresAt, seen.Reason, seen.At)),
    ];

    private Sight Add(LicenseClaims claims)
    {
        lock (_gate)
        {
            if (_byId.TryGetValue(claims.Sub, out Sight? known))
                return known;
            if (_byId.Count >= LicensesMax)
                _byId.TryRemove(_byId.MinBy(entry => entry.Value.Last.At.UnixMs).Key, out _);
            return _byId[claims.Sub] = new Sight { Last = new Seen(claims, "", UtcTime.MinValue) };
        }
    }

    private sealed class Sight
    {
        private Seen? _last;

        public required Seen Last
        {
            get => Volatile.Read(ref _last)!;
            set => Volatile.Write(ref _last, value);
        }
    }

    private sealed record Seen(LicenseClaims Claims, string Reason, UtcTime At);
}
