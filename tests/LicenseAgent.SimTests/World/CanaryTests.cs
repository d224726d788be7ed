using System.Text;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Server;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>A secret is seen however it is written, and nothing else is.</summary>
public sealed class CanaryTests
{
    private const string Till = "till-0001";

    private readonly Chronicle _history;
    private readonly SimServer _server;
    private readonly Canary _canary;

    public CanaryTests()
    {
        SimLoop loop = new(1);
        _history = new Chronicle(loop.Trace);
        TimeSpan day = TimeSpan.FromDays(1);
        _server = new SimServer(loop, _history, new ServerPolicy(day, day, day), SimRandom.Of(1, "server", "keys"));
        _server.Add(Till);
        _server.Find(Till)!.Highest = 30;
        _canary = new Canary(loop, _history, _server, Till);
    }

    private byte[] Secret => _server.SecretOf(Till, 30);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void It_is_seen_as_bytes_hex_and_base64_wherever_it_begins(int before)
    {
        byte[] around = [.. Encoding.ASCII.GetBytes("abc")[..before], .. Secret, 1, 2, 3];
        Assert.Equal(30, Seen(around));
        Assert.Equal(30, Seen([.. around.Reverse()]));
        Assert.Equal(30, Seen(Convert.ToHexString(around)));
        Assert.Equal(30, Seen(Convert.ToHexStringLower(around)));
        Assert.Equal(30, Seen(Convert.ToBase64String(around)));
        Assert.Equal(30, Seen(Convert.ToBase64String(around).Replace('+', '-').Replace('/', '_')));
    }

    [Fact]
    public void Eight_bytes_of_it_suffice_and_seven_do_not()
    {
        Assert.Equal(30, Seen([0, .. Secret[12..20], 0]));
        Assert.Null(Seen([0, .. Secret[12..19], 0]));
    }

    [Fact]
    public void Sixteen_characters_of_it_suffice_wherever_they_stand_and_fifteen_do_not()
    {
        string hex = Convert.ToHexString(Secret);
        foreach (int before in Enumerable.Range(0, 20))
        {
            foreach (int first in Enumerable.Range(0, hex.Length - 15))
            {
                Assert.Equal(30, Seen($"{new string('x', before)}{hex.AsSpan(first, 16)}\n"));
            }

            Assert.Null(Seen($"{new string('x', before)}{hex.AsSpan(3, 15)}\n"));
        }
    }

    [Fact]
    public void What_only_resembles_one_is_none()
    {
        Assert.Null(Seen(_server.SecretOf("till-0002", 30)));
        Assert.Null(Seen(Convert.ToBase64String(_server.SecretOf("till-0002", 1))));
        Assert.Null(Seen(""));
    }

    private long? Seen(string text) => Seen(Encoding.ASCII.GetBytes(text));

    private long? Seen(byte[] bytes)
    {
        int before = _history.All.Count;
        _canary.Look("here", bytes);
        return _history.All.Skip(before).OfType<SecretInClear>().SingleOrDefault()?.Version;
    }
}
