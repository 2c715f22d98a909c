// One event stream a page, the server's clock, and what the link is worth at this moment.
//
// The browser reconnects by itself and then gets a whole snapshot. A page in the background lets its stream go after
// ten seconds (a browser allows six connections to one server) and takes it up again when it is looked at. A page
// that has heard nothing for five seconds says so: what it shows then is a picture, not the plant.

const SILENT_MS = 5000;
const HIDDEN_MS = 10000;

const body = document.body;
const heard = { at: performance.now(), now: Number(body.dataset.now), steady: Number(body.dataset.steady), link: null };
let source = null;
let hiddenTimer = 0;
let again = 0;

// The server's wall time [ms since 1970], carried on by this page's running clock.
export const now = () => heard.now + (performance.now() - heard.at);

// The server's steady time [ms], by which ages are told: nobody sets it.
export const steady = () => heard.steady + (performance.now() - heard.at);

// The last link message, or null before the first.
export const link = () => heard.link;

// Age of the sender's last beat [s], null where there is none.
export function beatAge() {
  if (!heard.link || heard.link.beat_age_s === null) return heard.link ? null : 0;
  return heard.link.beat_age_s + (performance.now() - heard.at) / 1000;
}

// For how long the server has said nothing [ms].
export const silence = () => performance.now() - heard.at;
export const frozen = () => silence() > SILENT_MS;

// Open the stream; `handlers` are called by event name with the parsed body.
export function listen(handlers) {
  const query = new URLSearchParams();
  if (body.dataset.series) query.set("series", body.dataset.series);
  else if (body.dataset.asset !== undefined) query.set("asset", decodeURIComponent(body.dataset.asset));
  else if (body.dataset.events !== undefined) query.set("events", "1");
  const address = "/live" + (query.size ? "?" + query : "");

  const open = () => {
    clearTimeout(again);
    if (source) source.close();
    source = new EventSource(address);
    source.addEventListener("link", (message) => {
      heard.link = JSON.parse(message.data);
      heard.now = heard.link.now_ms;
      heard.steady = heard.link.steady_ms;
      heard.at = performance.now();
      handlers.link?.(heard.link);
    });
    for (const name of ["alarms", "assets", "card", "values"]) {
      if (handlers[name]) source.addEventListener(name, (message) => handlers[name](JSON.parse(message.data)));
    }
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 2000);
    };
  };
  open();
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = setTimeout(() => {
        source.close();
        clearTimeout(again);
      }, HIDDEN_MS);
    } else if (source.readyState === EventSource.CLOSED) open();
  });
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) open();
  });
}
