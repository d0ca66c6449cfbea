"""A headless Chromium, driven over the WebDriver protocol by the standard library alone.

    with Browser(width=1280, height=900, dark=True) as b:
        b.open("/tmp/report.html")
        b.run("return document.title")
        b.screenshot("out.png")

missing() says which program is not installed, None when all are.
"""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request


def missing():
    for name in ("chromium", "chromedriver"):
        if shutil.which(name) is None:
            return name
    return None


class Browser:
    def __init__(self, width=1280, height=900, dark=False, script=True):
        self.size = (width, height)
        self.dark = dark
        self.script = script

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="spanmark-browser-")
        env = dict(os.environ, HOME=self.home.name, XDG_CONFIG_HOME=self.home.name, XDG_CACHE_HOME=self.home.name)
        # Port 0: the driver chooses one and says which.
        self.driver = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, env=env)
        port = None
        for line in self.driver.stdout:
            words = line.split()
            if "started successfully on port" in line:
                port = int(words[-1].rstrip("."))
                break
        if port is None:
            raise RuntimeError("chromedriver did not start")
        self.base = f"http://127.0.0.1:{port}"
        options = {
            "binary": shutil.which("chromium"),
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--hide-scrollbars",
                     f"--window-size={self.size[0]},{self.size[1]}", f"--user-data-dir={self.home.name}/profile"],
        }
        if not self.script:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + answer["sessionId"]
        self.cdp("Emulation.setDeviceMetricsOverride", width=self.size[0], height=self.size[1], deviceScaleFactor=1,
                 mobile=False)
        self.cdp("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"}])
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", self.session)
        except (AttributeError, urllib.error.URLError, OSError):
            pass
        self.driver.terminate()
        self.driver.wait()
        self.driver.stdout.close()
        self.home.cleanup()

    def call(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        # No proxy of the environment: the driver is here.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{method} {path}: {e.read().decode()[:600]}") from None

    def cdp(self, command, **params):
        return self.call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, path):
        self.call("POST", self.session + "/url", {"url": "file://" + os.path.abspath(path)})

    def run(self, script, *args):
        return self.call("POST", self.session + "/execute/sync", {"script": script, "args": list(args)})

    def find(self, selector):
        element = self.call("POST", self.session + "/element", {"using": "css selector", "value": selector})
        return self.session + "/element/" + next(iter(element.values()))

    def click(self, selector):
        self.call("POST", self.find(selector) + "/click")

    def type(self, selector, text):
        self.call("POST", self.find(selector) + "/value", {"text": text})

    def console(self):
        return self.call("POST", self.session + "/se/log", {"type": "browser"})

    def screenshot(self, path, whole=False):
        clip = {}
        if whole:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"captureBeyondViewport": True,
                    "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        shot = self.cdp("Page.captureScreenshot", format="png", **clip)
        with open(path, "wb") as f:
            f.write(base64.b64decode(shot["data"]))

    def print(self, path):
        page = self.cdp("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        with open(path, "wb") as f:
            f.write(base64.b64decode(page["data"]))
