namespace LicenseServer.Commands;

/// <summary>The configuration is wrong; every error of it is listed.</summary>
internal sealed class SettingsException(IReadOnlyList<string> errors)
    : Exception(string.Join(Environment.NewLine, errors));
