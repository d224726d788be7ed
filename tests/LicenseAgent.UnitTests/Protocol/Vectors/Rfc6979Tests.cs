using LicenseAgent.Protocol.Jose;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

public sealed class Rfc6979Tests
{
    private static readonly FixedEcKey Key = new(
        Convert.FromHexString("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"));

    [Theory]
    [InlineData(
        "sample", "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        + "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8")]
    [InlineData(
        "test", "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
        + "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083")]
    public void Vector_signatures_are_those_of_appendix_A_2_5(string message, string signature)
    {
        byte[] data = System.Text.Encoding.ASCII.GetBytes(message);
        Assert.Equal(signature, Convert.ToHexString(Key.Sign(data)));
        Assert.True(Es256.Verify(Key.Public, data, Key.Sign(data)));
    }
}
