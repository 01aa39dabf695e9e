//! A chat client for tests that resumes by itself and counts what it saw
