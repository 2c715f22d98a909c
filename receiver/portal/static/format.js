// How numbers, spans and times are written: the same as receiver/portal/words.py, which gives the reasons.

const THIN = "\u202f";
export const NOTHING = "\u2014";

// Digits in threes from five digits up, a true minus sign, and no minus on a zero.
export function grouped(text) {
  const negative = text.startsWith("-");
  if (negative) text = text.slice(1);
  let [whole, rest] = text.split(".");
  if (whole.length > 4) whole = whole.replace(/\B(?=(\d{3})+$)/g, THIN);
  const minus = negative && /[1-9]/.test(text) ? "\u2212" : "";
  return minus + whole + (rest === undefined ? "" : "." + rest);
}

export function count(value) {
  return value === null || value === undefined ? NOTHING : grouped(String(value));
}

// A number with `places` decimals, or, with null, with five significant digits.
export function number(value, places) {
  if (!Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  if (size >= 1e16 || (places === null && size !== 0 && !(size >= 1e-4 && size < 1e9))) {
    const [mantissa, power] = value.toExponential(4).split("e");
    return `${mantissa}e${parseInt(power, 10)}`.replaceAll("-", "\u2212");
  }
  if (places === null) places = size === 0 ? 3 : Math.min(Math.max(0, 4 - Math.floor(Math.log10(size))), 8);
  return grouped(value.toFixed(places));
}

// Whether a text is an integer beyond 2**53, which a JavaScript number cannot hold; any other text is a text.
export const bigInteger = (tag, value) => /^u?int/.test(tag.type) && /^-?\d{16,20}$/.test(value);

// A number to compute with and to draw, or null: a text is none.
export function numeric(tag, value) {
  if (typeof value === "string") return bigInteger(tag, value) ? Number(value) : null;
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

// A value of any type, without its unit. `tag` is {type, places, states}.
export function written(tag, value) {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === "string") return bigInteger(tag, value) ? grouped(value) : value || '""';
  if (typeof value === "boolean" || tag.states.length) {
    const name = Number.isInteger(Number(value)) ? tag.states[Number(value)] : undefined;
    if (name) return name;
  }
  if (typeof value === "boolean") return value ? "true" : "false";
  if (tag.type.startsWith("float")) return number(value, tag.places);
  return Number.isInteger(value) && Math.abs(value) <= 2 ** 53 ? grouped(String(value)) : number(value, null);
}

// A length of time in its two largest units.
export function span(seconds) {
  if (!Number.isFinite(seconds)) return NOTHING;
  if (seconds < 0) return "\u2212" + span(-seconds);
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  const whole = Math.floor(seconds);
  for (const [size, name, below, under] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole >= size) {
      const rest = Math.floor((whole % size) / below);
      return `${Math.floor(whole / size)} ${name}` + (rest ? ` ${rest} ${under}` : "");
    }
  }
  return `${whole} s`;
}

// The age of a value in a table: whole seconds from one second on, so that a healthy column stands still.
export function age(seconds) {
  return seconds < 1 ? "< 1 s" : seconds < 60 ? `${Math.floor(seconds)} s` : span(seconds);
}

export function share(part) {
  const percent = part * 100;
  if (percent <= 0) return "0 %";
  if (percent < 0.01) return "< 0.01 %";
  return `${percent.toFixed(percent < 1 ? 2 : percent < 10 ? 1 : 0)} %`;
}

// Where a tag's page is: by its names.
export const tagAddress = (asset, name) => `/tag?asset=${encodeURIComponent(asset)}&name=${encodeURIComponent(name)}`;

// Decimals that write every tick as it is, where they are a step apart: 2 takes none, 2.5 one, 0.25 two.
export function stepPlaces(step, most = 12) {
  let places = Math.min(Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)), most);
  const whole = (size) => Math.abs(size - Math.round(size)) <= 1e-6 * size;
  while (places < most && !whole(step * 10 ** places)) places += 1;
  return places;
}

const pad = (value, width = 2) => String(value).padStart(width, "0");

// ---- Times: in the zone of this computer, or in the plant's where the site named one and the reader chose it.

const KEPT = "zone"; // in localStorage: "plant", or nothing
const plant = globalThis.document?.body?.dataset.zone ?? "";

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // a browser that keeps nothing
  }
}

// The zone that times are shown in: an IANA name, or empty for this computer's.
export const zoneName = plant && kept() === "plant" ? plant : "";

// The other of the two from the next page on.
export function switchZone() {
  try {
    if (zoneName) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, "plant");
  } catch {
    return false;
  }
  return true;
}

const parts = zoneName
  ? new Intl.DateTimeFormat("en-GB", {
    timeZone: zoneName, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  })
  : null;

// What a clock in the zone shows: [year, month from 1, day, hour, minute, second].
function fields(at) {
  if (!parts) return [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()];
  const held = Object.fromEntries(parts.formatToParts(at).map((part) => [part.type, Number(part.value)]));
  return [held.year, held.month, held.day, held.hour, held.minute, held.second];
}

// `form` is clock, full, tenths or milli.
export function moment(ms, form = "full") {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return `${ms} ms`;
  const [year, month, date, ...time] = fields(at);
  const clock = time.map((one) => pad(one)).join(":");
  if (form === "clock") return clock;
  const day = `${year}-${pad(month)}-${pad(date)}`;
  const digits = { tenths: 1, milli: 3 }[form] ?? 0;
  return digits ? `${day} ${clock}.${pad(at.getUTCMilliseconds(), 3).slice(0, digits)}` : `${day} ${clock}`;
}

// By how much a clock of the zone is ahead of UTC at that moment [min].
function ahead(ms) {
  const [year, month, ...rest] = fields(new Date(ms));
  return Math.round((Date.UTC(year, month - 1, ...rest) - ms) / 60000);
}

// The moment that a clock of the zone shows so, as a field of a form gives it ("2025-11-23T08:31:02") [ms]; NaN for none.
// Of an hour that comes twice it is the first.
export function instant(text) {
  if (!zoneName) return new Date(text).getTime();
  const utc = new Date(`${text}Z`).getTime();
  const found = [ahead(utc - 86400e3), ahead(utc + 86400e3)].map((minutes) => utc - minutes * 60000);
  return found.find((ms) => utc - ahead(ms) * 60000 === ms) ?? found[0];
}

// +01:00, at that moment.
export function zone(ms) {
  const minutes = ahead(ms);
  const sign = minutes < 0 ? "\u2212" : "+";
  const size = Math.abs(minutes);
  return `UTC${sign}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}
