/** What to call a device whose user agent is all that is known of it. */
const BROWSERS = [
    // Most claim to be Chrome and Safari as well, so the order counts.
    [/\bEdgA?\//, "Edge"],
    [/\bOPR\//, "Opera"],
    [/\bFirefox\/|\bFxiOS\//, "Firefox"],
    [/Chrome\/|\bCriOS\//, "Chrome"],
    [/\bSafari\//, "Safari"],
];
const SYSTEMS = [
    [/\bAndroid\b/, "Android"],
    [/\biPhone\b/, "iPhone"],
    [/\biPad\b/, "iPad"],
    [/\bWindows\b/, "Windows"],
    [/\bMac OS X\b/, "Mac"],
    [/\bCrOS\b/, "ChromeOS"],
    [/\bLinux\b/, "Linux"],
];
const CHARS = 60;
/** `Firefox on Linux`; what is no browser is called what it calls itself. */
export function deviceOf(userAgent) {
    const among = (known) => known.find(([mark]) => mark.test(userAgent))?.[1];
    const browser = among(BROWSERS);
    const system = among(SYSTEMS);
    if (browser)
        return system ? `${browser} on ${system}` : browser;
    const text = userAgent.trim();
    if (text === "")
        return "Unknown device";
    return text.length > CHARS ? `${text.slice(0, CHARS - 1)}…` : text;
}
