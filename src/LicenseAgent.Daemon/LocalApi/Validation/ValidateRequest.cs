using System.Buffers;
using System.Text;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi.Validation;

/// <summary>
/// Reads <c>{"license_token":"…","nonce":"…"}</c>. What any sane client sends is read in place; everything else,
/// right or wrong, goes through the strict reader, which alone decides what is wrong and where.
/// </summary>
internal static class ValidateRequest
{
    private static readonly SearchValues<byte> TokenBytes =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."u8);

    /// <exception cref="ProtocolException">Not such a request.</exception>
    public static ReadOnlySpan<byte> Read(ReadOnlySpan<byte> body, out Nonce16 nonce)
    {
        if (TryReadPlain(body, out ReadOnlySpan<byte> token, out nonce))
            return token;
        ValidateLicenseRequest request = StrictJson.Read(body, LocalRequestJsonContext.Wire.ValidateLicenseRequest);
        nonce = request.Nonce;
        return Encoding.UTF8.GetBytes(request.LicenseToken);
    }

    /// <summary>Two members in either order, values without escapes; false says nothing about the rest.</summary>
    private static bool TryReadPlain(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> token, out Nonce16 nonce)
    {
        token = default;
        nonce = default;
        ReadOnlySpan<byte> rest = body, first, second;
        bool tokenFirst = TryMember(ref rest, (byte)'{', "license_token"u8, out first);
        if (tokenFirst)
        {
            if (!TryMember(ref rest, (byte)',', "nonce"u8, out second))
                return false;
        }
        else if (!TryMember(ref rest, (byte)'{', "nonce"u8, out second)
            || !TryMember(ref rest, (byte)',', "license_token"u8, out first))
        {
            return false;
        }
        token = first;
        return TryByte(ref rest, (byte)'}') && Blank(rest).Length == 0 && Nonce16.TryParse(second, out nonce);
    }

    private static bool TryMember(
        scoped ref ReadOnlySpan<byte> rest, byte before, scoped ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        value = default;
        ReadOnlySpan<byte> at = rest;
        if (!TryByte(ref at, before) || !TryText(ref at, out ReadOnlySpan<byte> found) || !found.SequenceEqual(name)
            || !TryByte(ref at, (byte)':') || !TryText(ref at, out value))
        {
            return false;
        }
        rest = at;
        return true;
    }

    private static bool TryText(scoped ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> text)
    {
        text = default;
        if (!TryByte(ref rest, (byte)'"'))
            return false;
        int end = rest.IndexOfAnyExcept(TokenBytes);
        if (end < 0 || rest[end] != '"')
            return false;
        text = rest[..end];
        rest = rest[(end + 1)..];
        return true;
    }

    private static bool TryByte(scoped ref ReadOnlySpan<byte> rest, byte wanted)
    {
        rest = Blank(rest);
        if (rest.Length == 0 || rest[0] != wanted)
            return false;
        rest = rest[1..];
        return true;
    }

    private static ReadOnlySpan<byte> Blank(ReadOnlySpan<byte> text) => text.TrimStart(" \t\r\n"u8);
}
