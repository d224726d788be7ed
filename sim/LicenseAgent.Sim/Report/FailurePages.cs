using LicenseAgent.Sim.Campaign;

namespace LicenseAgent.Sim.Report;

/// <summary>A page for each run that broke something; the first ones, for one mistake may break thousands.</summary>
/// <param name="folder">Where; <see langword="null"/>: none are written.</param>
internal sealed class FailurePages(string? folder, TextWriter output)
{
    private const int PagesMax = 20;

    private int _pages;

    /// <exception cref="Plans.PlanException">The folder is not there and cannot be made.</exception>
    public void MakeFolder()
    {
        if (folder is not null)
        {
            NamedFile.MakeFolder(folder);
        }
    }

    /// <param name="name">Of the page, without an ending.</param>
    public void Add(string name, RunOutcome run, string repro)
    {
        if (folder is null || run.Code == ExitCodes.Ok || ++_pages > PagesMax)
        {
            return;
        }

        string page = Path.Combine(folder, name + ".html");
        NamedFile.Write(page, RunPage.Write(run, repro));
        output.WriteLine(page);
    }
}
