using System.Buffers;
using System.Text;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi.Validation;

/// <summary>
/// Writes a verdict as the JSON of <see cref="ValidateLicenseResponse"/>, byte for byte what the serializer would
/// write, from the pieces kept with the token.
/// </summary>
internal static class ValidationAnswer
{
    public static void Write(in Verdict verdict, Nonce16 nonce, IBufferWriter<byte> body)
    {
        body.Write(verdict.IsValid ? "{\"valid\":true,\"reason\":\""u8 : "{\"valid\":false,\"reason\":\""u8);
        Ascii(verdict.Reason, body);
        body.Write("\",\"nonce\":\""u8);
        nonce.Format(body.GetSpan(Nonce16.TextLength)[..Nonce16.TextLength]);
        body.Advance(Nonce16.TextLength);
        body.Write("\",\"mode\":\""u8);
        Ascii(ModeText.Of(verdict.Mode), body);
        body.Write("\",\"protection\":\""u8);
        Ascii(verdict.Protection, body);
        body.Write("\""u8);
        if (verdict.Token is { } token)
            WriteLicense(verdict, token, body);
        if (ReferenceEquals(verdict.Reason, ValidationReasons.SecretInvalidated))
            body.Write(",\"renewable\":true"u8);
        body.Write("}"u8);
    }

    private static void WriteLicense(in Verdict verdict, VerifiedToken token, IBufferWriter<byte> body)
    {
        body.Write(token.ClaimMembers);
        if (!verdict.IsValid)
            return;
        body.Write(",\"usable_until\":\""u8);
        verdict.UsableUntil.Format(body.GetSpan(UtcTime.TextLength)[..UtcTime.TextLength]);
        body.Advance(UtcTime.TextLength);
        body.Write("\",\"license\":\""u8);
        body.Write(token.InnerJws);
        if (verdict.RenewedToken is { } renewed)
        {
            body.Write("\",\"renewed_token\":\""u8);
            body.Write(renewed);
        }
        body.Write("\""u8);
    }

    private static void Ascii(string word, IBufferWriter<byte> body) =>
        body.Advance(Encoding.ASCII.GetBytes(word, body.GetSpan(word.Length)));
}
