"""An exception in, a problem document (RFC 9457) out."""
