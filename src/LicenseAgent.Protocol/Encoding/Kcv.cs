using System.Buffers.Binary;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>
/// A key check value: 8 bytes derived from a secret, which tell whether two sides hold the same one and nothing else
/// about it. Its text, in JSON too, is 16 lower-case hexadecimal characters.
/// </summary>
[JsonConverter(typeof(KcvJson))]
public readonly record struct Kcv
{
    /// <summary>Length in bytes.</summary>
    public const int Length = 8;

    /// <summary>Length of the text, in characters.</summary>
    public const int TextLength = 16;

    private readonly ulong value;

    private Kcv(ulong value) => this.value = value;

    /// <summary>Takes exactly 8 bytes.</summary>
    public static Kcv From(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Length);
        return new Kcv(BinaryPrimitives.ReadUInt64BigEndian(bytes));
    }

    /// <summary>Reads the 16-character text; upper case is refused.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out Kcv kcv)
    {
        Span<byte> bytes = stackalloc byte[Length];
        bool good = HexText.TryDecode(text, bytes);
        kcv = good ? From(bytes) : default;
        return good;
    }

    /// <summary>Writes the 8 bytes.</summary>
    public void CopyTo(Span<byte> bytes) => BinaryPrimitives.WriteUInt64BigEndian(bytes, value);

    /// <summary>The 16-character text.</summary>
    public override string ToString() => value.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
}
