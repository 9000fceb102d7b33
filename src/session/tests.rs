//! Scenarios of the session machine against a scripted server.
