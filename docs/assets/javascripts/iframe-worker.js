/*
 * A page that is opened from a folder may not start a worker, and the search runs in one. Here the
 * same script runs in a hidden frame instead. Pages from a server keep their real workers.
 *
 * The name `IFrameWorker` is the one that the theme's search script looks for in its parent.
 */
if (location.protocol === "file:") {
  window.IFrameWorker = class IFrameWorker extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.title = "Search"
      this.frame.addEventListener("load", () => this.start(url), { once: true })
      const insert = () => document.body.appendChild(this.frame)
      if (document.body) insert()
      else addEventListener("DOMContentLoaded", insert, { once: true })
    }

    start(url) {
      const inside = this.frame.contentWindow
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...urls) =>
        urls.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve())
      this.load(url).then(
        () => {
          const waiting = this.waiting
          this.waiting = null
          waiting.forEach(data => this.postMessage(data))
        },
        error => this.dispatchEvent(new ErrorEvent("error", { error }))
      )
    }

    load(url) {
      const inside = this.frame.contentDocument
      return new Promise((resolve, reject) => {
        const script = inside.createElement("script")
        script.src = url
        script.onload = () => resolve()
        script.onerror = () => reject(new Error(`${url} cannot be loaded`))
        inside.body.appendChild(script)
      })
    }

    postMessage(data) {
      if (this.waiting) {
        this.waiting.push(data)
        return
      }
      const { contentWindow: inside } = this.frame
      inside.dispatchEvent(new inside.MessageEvent("message", { data }))
    }

    terminate() {
      this.frame.remove()
    }
  }
  window.Worker = window.IFrameWorker
}
