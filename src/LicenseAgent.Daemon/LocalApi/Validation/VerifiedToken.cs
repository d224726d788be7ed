using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Daemon.LocalApi.Validation;

/// <summary>
/// A token that was opened and whose signature was verified, with those pieces of its answer that never change. Says
/// nothing about whether the license is valid now.
/// </summary>
internal sealed class VerifiedToken
{
    private RenewedToken? _renewed;

    public VerifiedToken(VerifiedLicense license, string kid, long version, long keysetVersion, TokenTag tag)
    {
        License = license;
        Kid = kid;
        Version = version;
        KeysetVersion = keysetVersion;
        Tag = tag;
        InnerJws = Encoding.ASCII.GetBytes(license.InnerJws);
        ClaimMembers = WriteClaims(license.Claims, version);
    }

    public VerifiedLicense License { get; }

    public LicenseClaims Claims => License.Claims;

    public string Kid { get; }

    public long Version { get; }

    /// <summary>The keyset by which the signature was judged.</summary>
    public long KeysetVersion { get; }

    /// <summary>What stands for the token in the audit log.</summary>
    public TokenTag Tag { get; }

    public byte[] InnerJws { get; }

    /// <summary>The members <c>license_id</c> … <c>secret_version</c>, comma first.</summary>
    public byte[] ClaimMembers { get; }

    /// <summary>Bytes this entry keeps alive, roughly.</summary>
    public int Weight => 512 + ClaimMembers.Length + 4 * InnerJws.Length + 2 * 8192;

    /// <summary>The same license under this ACTIVE secret, if it was wrapped already.</summary>
    public byte[]? RenewedUnder(string activeKid) =>
        Volatile.Read(ref _renewed) is { } renewed && renewed.Kid == activeKid ? renewed.Token : null;

    /// <summary>Keeps a renewed token; of two made at the same time either is good.</summary>
    public void KeepRenewed(string activeKid, byte[] token) =>
        Volatile.Write(ref _renewed, new RenewedToken(activeKid, token));

    private static byte[] WriteClaims(LicenseClaims claims, long version)
    {
        var buffer = new ArrayBufferWriter<byte>();
        Span<byte> expires = stackalloc byte[UtcTime.TextLength];
        claims.ExpiresAt.Format(expires);
        using (var writer = new Utf8JsonWriter(
            buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("license_id"u8, claims.Sub);
            writer.WriteString("product"u8, claims.Product);
            writer.WriteString("expires_at"u8, expires);
            writer.WriteStartArray("features"u8);
            foreach (string feature in claims.Features)
                writer.WriteStringValue(feature);
            writer.WriteEndArray();
            writer.WriteStartObject("metadata"u8);
            foreach ((string key, string value) in claims.Metadata)
                writer.WriteString(key, value);
            writer.WriteEndObject();
            writer.WriteNumber("secret_version"u8, version);
            writer.WriteEndObject();
        }
        byte[] members = buffer.WrittenSpan[..^1].ToArray();
        members[0] = (byte)',';
        return members;
    }

    private sealed record RenewedToken(string Kid, byte[] Token);
}
