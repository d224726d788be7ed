using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.Loop;

/// <summary>The problems that management calls are refused with, each with its remedy.</summary>
internal static class CommandRefusals
{
    public static Problem TooManyCalls { get; } =
        NotReady("Too many management calls are under way; repeat the call.");

    public static Problem OfInvalidation(long version, string why) => why switch
    {
        "not_held" => new Problem(
            "about:blank", "Not found", 404, ProblemCodes.NotFound,
            $"Version {version} is not held. See license-agent-cli secrets."),
        "last_usable" => Conflict(
            $"Version {version} is the last usable secret; licenses stop until a rotation. Repeat with force."),
        "busy" => NotReady("A change of secrets is under way; repeat the call."),
        _ => Conflict($"The invalidation was refused: {why}."),
    };

    public static Problem OfDegraded(string why) => why switch
    {
        "not_permitted" => Conflict(
            "The configuration has degraded.allowed = false, and that holds. Change it there, then reload."),
        "not_enrolled" => NotReady("There is nothing to allow yet: enrol this till, or wait until it has started."),
        _ => NotReady($"The order could not be written down ({why}); free the disk and repeat the call."),
    };

    public static Problem OfRenewal(string why, string? detail) => why == "refused"
        ? new Problem("about:blank", "Refused", 422, ProblemCodes.Refused, detail ?? "The server refused the license.")
        : new Problem(
            "about:blank", "No contact", 503, ProblemCodes.NoContact,
            $"The license server did not renew the license ({why}); ask again later.");

    public static Problem OfEnrollment(string why, string? detail) => why switch
    {
        "already_enrolled" => Conflict(
            "This till is enrolled already. If its TPM was cleared or replaced: license-agent-cli enroll --replace, "
            + "with a bundle of license-server agents add ID --replace."),
        "tpm_works" => Conflict(
            "The TPM of this till works, so nothing needs replacing. To give up its keys and every secret all the "
            + "same, repeat with --force."),
        "enrolment_under_way" => Conflict(
            "An enrolment is under way and goes on by itself; see license-agent-cli status."),
        "identity_damaged" or "certificate_damaged" => Conflict(
            "agent.json or tls.pem of this till is damaged, so a new enrolment has to take its place: "
            + "license-agent-cli enroll --replace, with a bundle of license-server agents add ID --replace."),
        "not_ready" or "busy" => NotReady("The agent is starting; repeat the call."),
        "no_contact" => new Problem(
            "about:blank", "No contact", 503, ProblemCodes.NoContact,
            detail ?? "The license server was not reached."),
        _ => new Problem("about:blank", "Refused", 422, ProblemCodes.Refused, detail ?? why),
    };

    private static Problem NotReady(string detail) =>
        new("about:blank", "Not ready", 503, ProblemCodes.NotReady, detail);

    private static Problem Conflict(string detail) =>
        new("about:blank", "Conflict", 409, ProblemCodes.Conflict, detail);
}
