namespace LicenseAgent.Daemon.Ports;

/// <summary>The way to the place outside that alerts are sent to.</summary>
internal interface IWebhook
{
    /// <summary>Posts a JSON body; never follows a redirect.</summary>
    /// <param name="url">Of the configuration, which has checked it.</param>
    /// <param name="signature">Of the header <c>License-Agent-Signature</c>.</param>
    /// <returns>The status of the answer.</returns>
    /// <exception cref="WebhookException">There was no answer within <paramref name="deadline"/>.</exception>
    Task<int> PostAsync(
        string url, ReadOnlyMemory<byte> body, string signature, TimeSpan deadline, CancellationToken cancel);
}

/// <summary>The receiver of alerts did not answer.</summary>
internal sealed class WebhookException(string reason, string message, Exception? inner = null)
    : EnvironmentException(reason, message, retryable: true, inner);
