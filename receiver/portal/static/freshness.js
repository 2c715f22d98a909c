// The rule of receiver/portal/freshness.py, applied between two messages of the server.

export const BEAT_LOST_S = 5;

// Why a value is stale, in words, or "" while it is fresh.
export function stale({ now, seen, after, beatAge, down }) {
  if (beatAge === null || beatAge > BEAT_LOST_S) return "link silent";
  if (down) return "asset down";
  return now - seen > after * 1000 ? "not renewed" : "";
}
