using System.Text;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>
/// Finds a secret in bytes in every form somebody could have written it in by accident: any eight bytes of it raw,
/// reversed or in hex, the same stretch in base64 and base64url at any alignment, and each text in UTF-16 too.
/// </summary>
internal sealed class Canary
{
    private const int Window = 8;

    // Characters of base64 that eight bytes determine whatever stands before and behind them.
    private const int Base64Window = 9;

    private readonly Dictionary<string, byte[]> _needles = [];

    public Canary(ReadOnlySpan<byte> secret)
    {
        byte[] reversed = secret.ToArray();
        Array.Reverse(reversed);
        foreach ((string form, byte[] bytes) in (ReadOnlySpan<(string, byte[])>)[("raw", secret.ToArray()), ("reversed", reversed)])
        {
            for (int at = 0; at + Window <= bytes.Length; at++)
            {
                byte[] window = bytes[at..(at + Window)];
                Add($"{form} {at}", window);
                AddText($"{form} hex {at}", Convert.ToHexStringLower(window));
                AddText($"{form} HEX {at}", Convert.ToHexString(window));
            }
            for (int shift = 0; shift < 3; shift++)
                AddBase64($"{form} base64 +{shift}", Convert.ToBase64String([.. new byte[shift], .. bytes]), shift);
        }
    }

    /// <summary>Which forms are there; none, in all that should be clean.</summary>
    public IEnumerable<string> FindIn(byte[] content) =>
        _needles.Where(n => content.AsSpan().IndexOf(n.Value) >= 0).Select(n => n.Key);

    private void AddBase64(string form, string text, int shift)
    {
        // Without the characters that the bytes before and behind have a part in.
        int end = text.TrimEnd('=').Length - 1;
        for (int at = shift == 0 ? 0 : 2; at + Base64Window <= end; at++)
        {
            string window = text.Substring(at, Base64Window);
            AddText($"{form} {at}", window);
            AddText($"{form} url {at}", window.Replace('+', '-').Replace('/', '_'));
        }
    }

    private void AddText(string form, string text)
    {
        Add(form, Encoding.ASCII.GetBytes(text));
        Add(form + " utf-16", Encoding.Unicode.GetBytes(text));
    }

    private void Add(string form, byte[] needle) => _needles[form] = needle;
}
