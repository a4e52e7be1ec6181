import { Select } from "@mantine/core";

import { localZone } from "../lib/time";
import type { Session } from "./session";

const ZONES = [...new Set([localZone(), "UTC", ...Intl.supportedValuesOf("timeZone")])];

/** The tenant that is looked at, where there are several. */
export function TenantChoice({ tenants, slug, onChosen }: { tenants: Session["tenants"]; slug: string; onChosen: (slug: string) => void }) {
  return (
    <Select
      aria-label="Tenant"
      size="xs"
      data={tenants.map((each) => ({ value: each.slug, label: each.name }))}
      value={slug}
      allowDeselect={false}
      onChange={(chosen) => chosen && onChosen(chosen)}
    />
  );
}

/** The zone in which absolute times are shown. */
export function ZoneChoice({ zone, onChosen }: { zone: string; onChosen: (zone: string) => void }) {
  return (
    <Select
      aria-label="Time zone"
      size="xs"
      searchable
      data={ZONES}
      value={zone}
      limit={50}
      allowDeselect={false}
      onChange={(chosen) => chosen && onChosen(chosen)}
    />
  );
}
