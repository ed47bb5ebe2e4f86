// The sound of the bell. Made here, no file: two notes, a pause, for ever. Browsers allow it only after a click or a key.

const SETTING = "bell"; // kept by this browser: "" (where one worked last), here, silent
const SECONDS = 3;
const NOTES = [[659.25, 0], [830.61, 0.22], [659.25, 0.5], [830.61, 0.72]]; // Hz, when
const LOUD = 0.25;
const QUIET = 0.06; // while one talks

class Ring extends EventTarget {
  #context = null;
  #pattern = null;
  #source = null;
  #mayPlay = false;

  constructor() {
    super();
    addEventListener("storage", ({ key }) => key === SETTING && this.#changed());
  }

  get setting() {
    try {
      return localStorage.getItem(SETTING) ?? "";
    } catch {
      return ""; // storage is switched off
    }
  }

  set setting(value) {
    try {
      if (value) localStorage.setItem(SETTING, value);
      else localStorage.removeItem(SETTING);
    } catch {
      // Storage is switched off: as usual.
    }
    this.#changed();
  }

  get isChosen() {
    return this.setting === "here";
  }

  get isSwitchedOff() {
    return this.setting === "silent";
  }

  get isHeard() {
    return this.#mayPlay && !this.isSwitchedOff;
  }

  // After a click or a key, and on a page that follows one with such: find out whether we may sound.
  async wake() {
    if (this.#mayPlay || !globalThis.AudioContext || !(navigator.userActivation?.hasBeenActive ?? true)) return;
    this.#context ??= new AudioContext();
    await Promise.race([this.#context.resume().catch(() => null), new Promise((done) => setTimeout(done, 500))]);
    if (this.#context.state !== "running" || this.#mayPlay) return;
    this.#mayPlay = true;
    if (!this.#source) await this.#context.suspend();
    this.#changed();
  }

  start(isQuiet) {
    if (this.#source || !this.#mayPlay) return;
    this.#source = this.#play(isQuiet ? QUIET : LOUD, true);
  }

  stop() {
    if (!this.#source) return;
    this.#source.stop();
    this.#source = null;
    this.#context.suspend();
  }

  async test() {
    await this.wake();
    if (!this.#mayPlay || this.#source) return;
    this.#play(LOUD, false).onended = () => !this.#source && this.#context.suspend();
  }

  #play(volume, isEndless) {
    this.#context.resume();
    this.#pattern ??= pattern(this.#context);
    const source = new AudioBufferSourceNode(this.#context, { buffer: this.#pattern, loop: isEndless });
    source.connect(new GainNode(this.#context, { gain: volume })).connect(this.#context.destination);
    source.start();
    return source;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

// Three seconds of sound that loop by themselves: timers of hidden pages are late.
function pattern(context) {
  const buffer = context.createBuffer(1, SECONDS * context.sampleRate, context.sampleRate);
  const samples = buffer.getChannelData(0);
  for (const [hertz, begin] of NOTES) {
    const first = Math.round(begin * context.sampleRate);
    for (let n = 0; n < 0.45 * context.sampleRate; n++) {
      const seconds = n / context.sampleRate;
      const envelope = Math.min(1, seconds * 100) * Math.exp(-7 * seconds);
      samples[first + n] += envelope * (Math.sin(2 * Math.PI * hertz * seconds) + 0.3 * Math.sin(4 * Math.PI * hertz * seconds));
    }
  }
  return buffer;
}

export const ring = new Ring();
