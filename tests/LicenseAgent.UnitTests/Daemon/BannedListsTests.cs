using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon;

/// <summary>
/// That the lists of banned symbols ban what they mean to. The analyzer says nothing of an entry that names no symbol,
/// and a new runtime may bring an overload that no entry names.
/// </summary>
public sealed partial class BannedListsTests
{
    private const string Loop = "BannedSymbols.Loop.txt";
    private const string Core = "BannedSymbols.Core.txt";

    // What of a banned name stays allowed: it keeps to the loop or takes the time it is given.
    private static readonly string[] Allowed =
    [
        "M:System.Threading.Tasks.Task.WaitAsync(System.Threading.CancellationToken)",
        "M:System.Threading.Tasks.Task`1.WaitAsync(System.Threading.CancellationToken)",
        "M:System.Threading.CancellationTokenSource.#ctor",
        "M:System.Threading.SemaphoreSlim.WaitAsync",
        "M:System.Random.#ctor(System.Int32)",
    ];

    // One type of each assembly that the lists name symbols of.
    private static readonly Type[] Samples =
    [
        typeof(object), typeof(Console), typeof(HttpClient), typeof(System.Diagnostics.Process), typeof(Parallel),
        typeof(System.Text.Json.JsonSerializer), typeof(System.Threading.Channels.Channel), typeof(Barrier),
        typeof(System.Timers.Timer), typeof(FileSystemWatcher), typeof(System.Net.Sockets.Socket),
        typeof(System.Collections.Concurrent.BlockingCollection<>),
        typeof(System.Security.Cryptography.RandomNumberGenerator),
    ];

    private readonly HashSet<string> _known = KnownMembers();

    [Theory]
    [InlineData(Loop)]
    [InlineData(Core)]
    public void Every_entry_names_a_symbol_and_says_what_to_do_instead(string list)
    {
        Assert.All(Entries(list), entry => Assert.Matches(EntryLine(), entry));
        Assert.All(Ids(list).Where(id => id[0] != 'N'), id => Assert.Contains(id, _known));
    }

    [Fact]
    public void Every_overload_of_a_banned_method_is_banned_but_the_ones_that_stay_on_the_loop()
    {
        var banned = Ids(Loop).ToHashSet(StringComparer.Ordinal);
        var names = banned.Where(id => id[0] == 'M').Select(NameOf).ToHashSet(StringComparer.Ordinal);
        Assert.DoesNotContain(_known, id =>
            id[0] == 'M' && names.Contains(NameOf(id)) && !banned.Contains(id) && !Allowed.Contains(id)
            && !id.Contains("System.TimeProvider", StringComparison.Ordinal));
    }

    private static HashSet<string> KnownMembers()
    {
        var named = Ids(Loop).Concat(Ids(Core)).Select(TypeOf).ToHashSet(StringComparer.Ordinal);
        return Samples.SelectMany(sample => sample.Assembly.GetExportedTypes())
            .Where(type => named.Contains(type.FullName!))
            .SelectMany(DocumentationId.OfMembers)
            .ToHashSet(StringComparer.Ordinal);
    }

    private static string TypeOf(string id)
    {
        string name = id.Split('(')[0][2..];
        return id[0] == 'T' ? name : name[..name.LastIndexOf('.')];
    }

    private static string NameOf(string id) => MethodArity().Replace(id.Split('(')[0], "");

    private static IEnumerable<string> Ids(string list) => Entries(list).Select(entry => entry.Split(';')[0]);

    private static IEnumerable<string> Entries(string list, [CallerFilePath] string here = "") =>
        File.ReadLines(Path.Combine(Path.GetDirectoryName(here)!, "../../../src", list))
            .Where(line => line != "" && !line.StartsWith("//", StringComparison.Ordinal));

    [GeneratedRegex("^[MPTN]:[^; ]+;[A-Za-z].+$")]
    private static partial Regex EntryLine();

    [GeneratedRegex("``[0-9]+$")]
    private static partial Regex MethodArity();
}
