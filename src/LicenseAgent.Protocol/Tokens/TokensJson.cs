using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Tokens;

[JsonSerializable(typeof(LicenseClaims))]
internal sealed partial class TokensJson : JsonSerializerContext
{
    public static TokensJson Strict { get; } = new(StrictJson.RefuseUnknown());
}
