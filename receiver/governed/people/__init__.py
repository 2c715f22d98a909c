"""Named people: enrolment, roles, what they sign in with, their sessions."""
