using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Enrolment;

/// <summary>
/// The client certificate from one to the next: <c>tls.pem</c> in use, <c>tls.pem.next</c> with the key a renewal asks
/// for, <c>tls.pem.prev</c> for the case that the server refuses the new one. A crash anywhere leaves one that works.
/// </summary>
internal sealed class TlsFiles(IStateFiles files)
{
    private const string Next = TillFiles.Tls + ".next";
    private const string Previous = TillFiles.Tls + ".prev";

    /// <summary>Key and chain in use and the ones before; those that can be read.</summary>
    public async Task<IReadOnlyList<byte[]>> ReadAsync(CancellationToken cancel)
    {
        byte[]?[] found = [await files.ReadAsync(TillFiles.Tls, cancel), await files.ReadAsync(Previous, cancel)];
        return [.. found.OfType<byte[]>().Where(pem => TryReadLife(pem, out _))];
    }

    /// <summary>PKCS#10 over the next key, which is durable before anybody hears of it.</summary>
    public async Task<byte[]> RequestAsync(string agentId, CancellationToken cancel)
    {
        if (await files.ReadAsync(Next, cancel) is not { } pem || !TryReadKey(pem, out ECDsa? key))
        {
            key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            await files.ReplaceAsync(Next, Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem() + "\n"), cancel);
        }

        using (key)
        {
            return TillFiles.CertificateRequestOf(key, agentId);
        }
    }

    /// <summary>The life of an answer's certificate.</summary>
    /// <exception cref="NoContactException">It is not one over the next key.</exception>
    public async Task<CertificateLife> LifeOfAsync(IReadOnlyList<string> chain, CancellationToken cancel)
    {
        byte[] pem = await JoinAsync(chain, cancel);
        return TryReadLife(pem, out CertificateLife? life)
            ? life
            : throw new NoContactException("malformed", "The renewed certificate is not one over this till's new key.");
    }

    /// <summary>The next pair takes the place of the one in use.</summary>
    public async Task<byte[]> TakeIntoUseAsync(IReadOnlyList<string> chain, CancellationToken cancel)
    {
        byte[] pem = await JoinAsync(chain, cancel);
        if (await files.ReadAsync(TillFiles.Tls, cancel) is { } before)
        {
            await files.ReplaceAsync(Previous, before, cancel);
        }

        await files.ReplaceAsync(TillFiles.Tls, pem, cancel);
        await files.EraseAsync(Next, cancel);
        return pem;
    }

    /// <summary>Whether the text is a key with its certificate.</summary>
    public static bool TryReadLife(ReadOnlySpan<byte> pem, [NotNullWhen(true)] out CertificateLife? life)
    {
        string text = Encoding.ASCII.GetString(pem);
        try
        {
            using X509Certificate2 certificate = X509Certificate2.CreateFromPem(text, text);
            life = new CertificateLife(
                UtcTime.From(new DateTimeOffset(certificate.NotBefore)),
                UtcTime.From(new DateTimeOffset(certificate.NotAfter)));
            return true;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            life = null;
            return false;
        }
    }

    private async Task<byte[]> JoinAsync(IReadOnlyList<string> chain, CancellationToken cancel)
    {
        byte[] key = await files.ReadAsync(Next, cancel) ?? throw new StorageException(
            "tls_next_missing", $"{Next} is missing in the state directory; the renewal begins anew.");
        return [.. key, .. TillFiles.PemOf(chain)];
    }

    public static IdentityDamagedException Damaged() => new(
        LockReason.CertificateDamaged,
        $"{TillFiles.Tls} is missing or damaged in the state directory; restore it or enrol the till again.");

    public static bool TryReadKey(ReadOnlySpan<byte> pem, [NotNullWhen(true)] out ECDsa? key)
    {
        ECDsa read = ECDsa.Create();
        try
        {
            read.ImportFromPem(Encoding.ASCII.GetString(pem));
            key = read;
            return true;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            // Of a disk that lost it: the certificate for it, if there is one, is lost as well.
            read.Dispose();
            key = null;
            return false;
        }
    }
}
