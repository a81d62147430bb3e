// The microphone and a live session: sound goes out, events come in. docs/reference/http.md has the messages.

import { token } from "./server.js";

export class Recorder {
  // on: {level(0..1), clock(seconds), event(message), closed(error or null)}
  constructor(on) {
    this.on = on;
    this.blocks = [];
    this.samples = 0;
  }

  async start(hotwords) {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false },
    });
    this.context = new AudioContext(); // at whatever rate the browser has
    await this.context.audioWorklet.addModule("microphone.js");
    await this.connect(hotwords);
    this.node = new AudioWorkletNode(this.context, "microphone", { channelCount: 1 });
    this.node.port.onmessage = ({ data }) => this.take(data);
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    await this.context.resume();
  }

  connect(hotwords) {
    const address = new URL("v1/listen", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    return new Promise((resolve, reject) => {
      let error = null;
      this.socket.onopen = () =>
        this.socket.send(
          JSON.stringify({
            type: "start",
            version: 1,
            sample_rate: this.context.sampleRate,
            encoding: "pcm16",
            hotwords,
            token: token.get(),
          }),
        );
      this.socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "ready") resolve();
        else if (message.type === "error") error = message.error;
        else this.on.event(message);
        this.done ||= message.type === "done";
      };
      this.socket.onclose = () => {
        error ??= this.done ? null : { message: "The connection to the server was lost." };
        this.release();
        reject(error);
        this.on.closed(error);
      };
    });
  }

  take(block) {
    this.blocks.push(block);
    this.samples += block.length;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(block.buffer);
    const peak = block.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0) / 32768;
    this.on.level(peak);
    this.on.clock(this.samples / this.context.sampleRate);
  }

  stop() {
    this.release();
    if (this.socket.readyState === WebSocket.OPEN)
      this.socket.send(JSON.stringify({ type: "stop" }));
  }

  release() {
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.context && this.context.state !== "closed") this.context.close();
    this.on.level(0);
  }

  // The recording as a WAV file, for the player.
  file() {
    const head = new DataView(new ArrayBuffer(44));
    const size = 2 * this.samples;
    const text = (at, letters) => [...letters].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF");
    head.setUint32(4, 36 + size, true);
    text(8, "WAVEfmt ");
    head.setUint32(16, 16, true);
    head.setUint16(20, 1, true);
    head.setUint16(22, 1, true);
    head.setUint32(24, this.context.sampleRate, true);
    head.setUint32(28, 2 * this.context.sampleRate, true);
    head.setUint16(32, 2, true);
    head.setUint16(34, 16, true);
    text(36, "data");
    head.setUint32(40, size, true);
    return new Blob([head, ...this.blocks], { type: "audio/wav" });
  }
}
