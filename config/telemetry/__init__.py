"""Spans and errors of this process in, copies for OpenTelemetry and Sentry out. Unset, it loads and does nothing."""
