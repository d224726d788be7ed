using System.Text;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

/// <summary>The quick reading in place and the strict reader are one reader.</summary>
public sealed class ValidateRequestTests
{
    private static readonly byte[] Plain =
        """{"license_token":"eyJh.._-Zz9","nonce":"AQEBAQEBAQEBAQEBAQEBAQ"}"""u8.ToArray();

    private static readonly byte[] Swapped =
        """ { "nonce" : "AQEBAQEBAQEBAQEBAQEBAQ" , "license_token" : "x" } """u8.ToArray();

    [Fact]
    public void Every_byte_in_every_place_is_read_as_the_strict_reader_reads_it()
    {
        foreach (byte[] text in new[] { Plain, Swapped })
        {
            for (int place = 0; place < text.Length; place++)
            {
                for (int value = 0; value < 256; value++)
                {
                    byte[] changed = [.. text];
                    changed[place] = (byte)value;
                    Assert.Equal(Strictly(changed), Quickly(changed));
                }
            }
        }
    }

    [Fact]
    public void Every_piece_cut_out_or_doubled_is_read_as_the_strict_reader_reads_it()
    {
        foreach (byte[] text in new[] { Plain, Swapped })
        {
            for (int from = 0; from < text.Length; from++)
            {
                for (int to = from + 1; to <= text.Length; to++)
                {
                    byte[] cut = [.. text[..from], .. text[to..]];
                    byte[] doubled = [.. text[..to], .. text[from..]];
                    Assert.Equal(Strictly(cut), Quickly(cut));
                    Assert.Equal(Strictly(doubled), Quickly(doubled));
                }
            }
        }
    }

    private static string Quickly(byte[] body)
    {
        try
        {
            string token = Encoding.UTF8.GetString(ValidateRequest.Read(body, out Nonce16 nonce));
            return $"{token} {nonce}";
        }
        catch (ProtocolException e)
        {
            return e.Message;
        }
    }

    private static string Strictly(byte[] body)
    {
        try
        {
            ValidateLicenseRequest request =
                StrictJson.Read(body, LocalRequestJsonContext.Wire.ValidateLicenseRequest);
            return $"{request.LicenseToken} {request.Nonce}";
        }
        catch (ProtocolException e)
        {
            return e.Message;
        }
    }
}
