namespace LicenseServer.Storage;

/// <summary>The database cannot be used as it is; the message names the fact and the remedy.</summary>
internal sealed class StorageException(string message, Exception? inner = null) : Exception(message, inner);
