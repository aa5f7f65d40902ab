/** Begin: token, session, and the mode that the server is in. */
import { Api, ApiError, fragment } from "./api.js";
import { el, toBase64 } from "./dom.js";
import { Look } from "./look.js";
import { setColours } from "./ramp.js";
import { Study } from "./study.js";
import * as windows from "./window.js";

const KEYS = [
  ["1 … 9, ← →", "steps of the hanging"], ["Home", "first step"], ["F", "one view"],
  ["wheel, pinch, + -", "zoom all views about the pointer; with Alt one view"],
  ["drag, Shift + arrows", "move all views; with Alt one view"],
  ["right drag, W + drag", "window of all views"], ["R, I", "reset, invert the window"],
  ["M held", "magnifier"], ["D", "1:1 at the pointer"], ["T", "true size, where the screen is known"],
  ["N", "nearest pixel when enlarged"], ["C", "squares that show whether the screen clips"],
  ["H, [ ]", "heatmap, its opacity"], ["B, A, G", "boxes, all annotations, ground truth"],
  [", .", "threshold of regions"], ["L, click", "the same depth in the other view of a breast"],
  ["V", "next view becomes the active one"], ["Delete, U", "delete a mark, undo"], ["J, K", "next, previous exam of the list"], ["Esc", "back, list of exams"],
];

function banner(text) {
  document.getElementById("banner").textContent = text;
}

/** What tests and scripts ask the page. */
function expose(mode) {
  const { viewer } = mode, { wall, screen } = viewer;
  const find = (key) => wall.views.find((view) => [view.image.key, view.image.name].includes(key));
  const place = (key) => {
    const view = find(key);
    return view && {
      rect: view.rect, mirrored: view.image.mirrored, spacing: view.image.spacing,
      place(origin, step) {
        view.origin = [...origin];
        view.pace = Array.isArray(step) ? [...step] : [step, step];
        wall.drawNow();
      },
      toStored: (q) => view.toStored(q), fromStored: (p) => view.fromStored(p),
      readGrey(x, y, width, height) {
        const heat = wall.heatOn;
        wall.heatOn = false;
        wall.drawNow();
        wall.heatOn = heat;
        const colours = screen.read(view.rect[0] + x, view.rect[1] + y, width, height);
        return toBase64(colours.filter((_, i) => i % 4 === 0));
      },
      readColour(x, y, width, height) {
        wall.drawNow();
        return toBase64(screen.read(view.rect[0] + x, view.rect[1] + y, width, height));
      },
    };
  };
  Object.assign(window.room, { state: mode, view: place, windows, toBase64,
    draw: (moving = false) => {
      wall.drawNow(moving);
      screen.finish();
    } });
}

async function begin() {
  const api = new Api(fragment().get("token") || "");
  const help = document.getElementById("keys");
  api.onGone = (wait) => banner(`The server does not answer; trying again in ${wait} s.`);
  const session = await api.json("/api/session");
  const standing = session.notes.join(" · ");
  api.onBack = () => banner(standing);
  banner(standing);
  document.getElementById("use").textContent = session.banner;
  setColours(session.ramp);
  const keys = [...KEYS];
  const mode = await makeMode(api, session, keys);
  help.replaceChildren(...keys.flatMap(([key, words]) => [el("dt", {}, key), el("dd", {}, words)]));
  expose(mode);
  await mode.start();
}

const HIDDEN_IN_STUDY = ["B, A, G", "J, K", "L, click", ", .", "Esc", "H, [ ]"];

function makeMode(api, session, keys) {
  if (session.mode !== "study") return new Look(api, session);
  keys.splice(0, keys.length, ...KEYS.filter(([key]) => !HIDDEN_IN_STUDY.includes(key)),
    ["P", "pause"], ["H, B", "heatmap, boxes, where they are shown"],
    ["X", "mark a region in the middle of the active view"],
    ["Alt + arrows", "move the chosen region"], ["Tab, arrows, space", "the questions"]);
  return new Study(api, session);
}

window.room = { ready: begin() };
window.room.ready.catch((error) => {
  if (error.message === "no WebGL2")
    banner("This browser has no WebGL2. Chrome, Edge and Firefox since 2017 and Safari 15 have it.");
  else if (error instanceof ApiError && error.status === 401)
    banner("The token in the URL is missing or wrong: open the URL that fourview serve printed.");
  else banner(error.message);
});
