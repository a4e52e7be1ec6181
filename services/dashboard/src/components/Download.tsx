import { Button, Menu } from "@mantine/core";
import { useState } from "react";

import { ApiError, BASE, headersOf } from "../api/client";
import { useSession } from "../app/session";

export type File = { label: string; path: string; name: string };

/**
 * Files to save. The browser streams them to the disk by itself; only where the tenant on screen is not the caller's own
 * must they be asked for with a header, and then they pass through memory.
 */
export function Downloads({ label, files, tenant }: { label: string; files: readonly File[]; tenant: string | null }) {
  const { home } = useSession();
  const [error, setError] = useState<string | null>(null);
  const isHome = tenant === null || tenant === home;
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button size="xs" variant="default">
            {label}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {files.map((file) =>
            isHome ? (
              <Menu.Item key={file.label} component="a" href={`${BASE}${file.path}`} download={file.name}>
                {file.label}
              </Menu.Item>
            ) : (
              <Menu.Item key={file.label} onClick={() => void save(file).catch((reason: Error) => setError(reason.message))}>
                {file.label}
              </Menu.Item>
            ),
          )}
        </Menu.Dropdown>
      </Menu>
      {error && (
        <span className="small" role="alert">
          {error}
        </span>
      )}
    </>
  );
}

async function save(file: File): Promise<void> {
  const answer = await fetch(`${BASE}${file.path}`, { headers: headersOf(), credentials: "same-origin" });
  if (!answer.ok) throw new ApiError(`The download was answered with ${answer.status}.`, "refused");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
