import ReactMarkdown from "react-markdown";
import rehypeSanitize from "rehype-sanitize";
import remarkGfm from "remark-gfm";

import { BASE } from "../api/client";
import { safeUrl } from "../lib/links";

/** Hostile text: no HTML of its own, no picture from elsewhere, links only where they are harmless. */
export function Markdown({ text }: { text: string }) {
  return (
    <ReactMarkdown
      remarkPlugins={[remarkGfm]}
      rehypePlugins={[rehypeSanitize]}
      urlTransform={(url) => safeUrl(url, BASE)}
      components={{
        // The page has its one h1 already, and its parts their h2.
        h1: "h3",
        h2: "h4",
        h3: "h5",
        h4: "h6",
        h5: "h6",
        img: ({ alt }) => <span className="quiet">[picture: {alt}]</span>,
        a: ({ href, children }) => (href ? <a href={href} rel="noopener noreferrer">{children}</a> : <>{children}</>),
      }}
    >
      {text}
    </ReactMarkdown>
  );
}
