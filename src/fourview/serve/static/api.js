/** Requests to the room's own server, with the token that the URL's fragment holds. */

const WAITS = [1, 2, 4, 8, 16, 30]; // seconds between tries while the server is gone

export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export class Api {
  constructor(token) {
    this.token = token;
    this.extra = {}; // headers of a reader's session
    this.onGone = () => {};
    this.onBack = () => {};
  }

  headers(more = {}) {
    return { Authorization: `Bearer ${this.token}`, ...this.extra, ...more };
  }

  /** One request, tried again for as long as no server answers. */
  async request(path, options = {}, tries = Infinity) {
    for (let attempt = 0; ; attempt++) {
      let answer;
      try {
        answer = await fetch(path, { ...options, headers: this.headers(options.headers) });
      } catch (error) {
        if (options.signal && options.signal.aborted) throw error;
        if (attempt + 1 >= tries) throw new ApiError(0, "the server does not answer");
        const wait = WAITS[Math.min(attempt, WAITS.length - 1)];
        this.onGone(wait);
        await new Promise((done) => setTimeout(done, 1000 * wait));
        continue;
      }
      this.onBack();
      if (answer.ok) return answer;
      let text = answer.statusText;
      try {
        text = (await answer.json()).error || text;
      } catch { /* no JSON: the status says it */ }
      throw new ApiError(answer.status, text);
    }
  }

  async json(path, tries) {
    return (await this.request(path, {}, tries)).json();
  }

  async bytes(path) {
    const answer = await this.request(path);
    return { data: await answer.arrayBuffer(), rows: Number(answer.headers.get("X-Rows")),
      cols: Number(answer.headers.get("X-Cols")) };
  }

  async send(method, path, body, tries = 1) {
    const options = { method, body: JSON.stringify(body),
      headers: { "Content-Type": "application/json" } };
    const answer = await this.request(path, options, tries);
    return answer.status === 204 ? null : answer.json();
  }
}

/** The parts of the URL's fragment. */
export function fragment() {
  return new URLSearchParams(location.hash.slice(1));
}

/** Write parts of the fragment, without a step in the browser's history. */
export function setFragment(changes) {
  const parts = fragment();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "" || value === undefined) parts.delete(name);
    else parts.set(name, value);
  }
  history.replaceState(null, "", `#${parts}`);
}
