using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Testbed.Tills;

/// <summary>
/// A folder of <c>tests/formats</c>: what an agent of one file format left behind, with the memory of its TPM. Tests
/// and experiments work on copies; the original is never written to.
/// </summary>
public sealed record FormatFolder(int Format)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode SecretsMode = OwnerOnly | UnixFileMode.UserExecute;

    /// <summary>The local grace of a till on this state: the server's, which is long, is not to be shortened.</summary>
    public static TimeSpan Grace { get; } = TimeSpan.FromDays(3650);

    public string Root { get; } = Path.Combine(Above(), "tests", "formats", $"format-{Format}");

    public string State => Path.Combine(Root, "state");

    public string Tpm => Path.Combine(Root, "tpm");

    /// <summary>Under the ACTIVE version of the folder, good for ten years.</summary>
    public string ActiveToken => File.ReadAllText(Path.Combine(Root, "active.token")).Trim();

    /// <summary>Of a license that was revoked before the folder was made.</summary>
    public string RevokedToken => File.ReadAllText(Path.Combine(Root, "revoked.token")).Trim();

    /// <summary>Puts state and log where a till has them, with the modes that the agent gives them.</summary>
    public void CopyTo(TillFolder till)
    {
        CopyFiles(State, till.State);
        CopyFiles(Path.Combine(State, "secrets"), Path.Combine(till.State, "secrets"));
        File.SetUnixFileMode(Path.Combine(till.State, "secrets"), SecretsMode);
        CopyFiles(Path.Combine(Root, "log"), till.Logs);
    }

    /// <summary>The agent may run: what it is about to put in a file's place is left out, it may be gone any moment.</summary>
    public static void CopyFiles(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from).Where(
            f => Path.GetFileName(f) != "lock" && Path.GetExtension(f) != ".tmp"))
        {
            string copy = Path.Combine(to, Path.GetFileName(file));
            File.Copy(file, copy, overwrite: true);
            File.SetUnixFileMode(copy, OwnerOnly);
        }
    }

    private static string Above()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "LicenseAgent.sln")))
            {
                return at.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No LicenseAgent.sln above {AppContext.BaseDirectory}.");
    }
}
