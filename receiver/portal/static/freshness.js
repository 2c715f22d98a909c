// The rule of receiver/portal/freshness.py, applied between two messages of the server.

export const BEAT_LOST_S = 5;
const FUTURE_MS = 2000;

// Why a value is stale, in words, or "" while it is fresh; `now` and `seen` are steady time [ms], which nobody sets.
export function stale({ now, seen, after, beatAge, down }) {
  if (beatAge === null || beatAge > BEAT_LOST_S) return "link silent";
  if (down) return "asset down";
  return now - seen > after * 1000 || seen - now > FUTURE_MS ? "not renewed" : "";
}

// The moment of what nobody knows the age of: 1970.
export const unknown = (seen) => seen < 1;
