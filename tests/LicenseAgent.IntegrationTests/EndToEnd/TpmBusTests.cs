using System.Text;
using System.Text.Json;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// I30 on the whole system: enrolment, rotation and restart of a real daemon through a tap on the TPM bus. That the
/// tap sees these bytes where session encryption is off is shown by
/// <c>LicenseAgent.ContractTests.Tpm.TpmBusTests.The_tap_finds_all_of_them_where_session_encryption_is_off</c>.
/// </summary>
public sealed class TpmBusTests(TpmBusTests.LifeOfATill life) : IClassFixture<TpmBusTests.LifeOfATill>
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void No_eight_bytes_of_a_secret_cross_the_bus(long version)
    {
        byte[] secret = life.SecretByTheServersKeyFile(version);

        // Else the search would be for bytes that nobody ever had.
        Assert.Equal(life.Entry(version).Kcv, SecretKeys.Kcv(secret));
        Assert.True(life.Recording.Count(TpmCommand.RsaDecrypt) >= 4);
        Assert.Empty(life.Recording.Find(secret));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void No_eight_bytes_of_the_key_that_wraps_a_secret_cross_the_bus(long version)
    {
        byte[] contentKey = life.ContentKey(version);

        Assert.Empty(life.Recording.Find(contentKey));
    }

    [Fact]
    public void No_eight_bytes_of_the_auth_value_of_the_keys_cross_the_bus()
    {
        byte[] auth = life.KeyAuth();

        Assert.True(life.Recording.Count(TpmCommand.NvDefineSpace) > 0);
        Assert.Empty(life.Recording.Find(auth));
    }

    /// <summary>A till that was enrolled, rotated once and restarted, with everything its bus carried.</summary>
    public sealed class LifeOfATill : IAsyncLifetime
    {
        private LiveTill? _till;
        private TillBooks? _books;

        internal TpmRecording Recording => Till.Bus.Recording;

        private LiveTill Till => _till!;

        public async ValueTask InitializeAsync()
        {
            _till = await LiveTill.StartEnrolledAsync(TestContext.Current.CancellationToken);
            await _till.Operator.RotateAsync(TestContext.Current.CancellationToken);
            await _till.AgreementAsync();
            await _till.RestartAgentAsync();
            _books = await _till.AgreementAsync();
        }

        public async ValueTask DisposeAsync()
        {
            if (_till is not null)
            {
                await _till.DisposeAsync();
            }
        }

        internal SecretEntry Entry(long version) => _books!.Bound.Secrets.Single(s => s.Version == version);

        internal byte[] SecretByTheServersKeyFile(long version) => Till.SecretByTheServersKeyFile(version);

        /// <summary>The one that opens the secret the agent keeps, among the random numbers the server drew.</summary>
        internal byte[] ContentKey(long version)
        {
            byte[] answer = File.ReadAllBytes(_books!.SecretFile(version));
            Assert.True(CompactJws.TryParse(
                answer, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes, out ParsedJws? jws));
            string wrapped = StrictJson.Read(jws.Payload, AnswerJsonContext.Wire.RotateSecretAnswer).NewSecretEncrypted;
            ParsedSecretJwe jwe = SecretJwe.Parse(Encoding.ASCII.GetBytes(wrapped));
            byte[] opened = new byte[SecretJwe.SecretLength];
            byte[] found = Assert.Single(Till.Server.Random32, drawn => SecretJwe.Open(jwe, drawn, opened));
            return found;
        }

        internal byte[] KeyAuth()
        {
            using JsonDocument file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Till.Folder.State, "agent.json")));
            Assert.True(Base64UrlText.TryDecode(file.RootElement.GetProperty("key_auth").GetString(), out byte[] auth));
            return auth;
        }
    }
}
