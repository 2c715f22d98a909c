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

const pad = (value, width = 2) => String(value).padStart(width, "0");

// Local time of this computer; `form` is clock, full, tenths or milli.
export function moment(ms, form = "full") {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return `${ms} ms`;
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  if (form === "clock") return clock;
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  if (form === "milli") return `${day} ${clock}.${pad(at.getMilliseconds(), 3)}`;
  return form === "tenths" ? `${day} ${clock}.${Math.floor(at.getMilliseconds() / 100)}` : `${day} ${clock}`;
}

// +01:00, of this computer at that moment.
export function zone(ms) {
  const minutes = -new Date(ms).getTimezoneOffset();
  const sign = minutes < 0 ? "\u2212" : "+";
  const size = Math.abs(minutes);
  return `UTC${sign}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}
