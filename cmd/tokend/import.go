package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newImport(env *environment) *cobra.Command {
	i := &importer{asker: asker{env: env}}
	cmd := &cobra.Command{
		Use:   "import OWNER",
		Short: "Store the grants of all customers of a third-party platform",
		Long: `Store the refresh tokens of all customers of a third-party platform from WeChat's list, so that a
site can migrate without its old database. OWNER is open_platform/<component_appid>.

The list has pages of 500 customers. Each page is a call to WeChat. Progress is shown on standard
error. Grants that are already stored are not changed, so an import can be repeated. An interrupted
import continues at an --offset. If WeChat lists fewer customers than it counts, the exit status is
4 and the number of missing customers is printed. --timeout applies to each page. It requires root
or tokend's own user unless the configuration grants it.`,
		Example:           "  tokend import open_platform/wx0123456789abcdef",
		Args:              takes("OWNER"),
		ValidArgsFunction: i.owners,
		RunE:              i.run,
	}
	i.flags(cmd)
	cmd.Flags().IntVar(&i.offset, "offset", 0, "skip the first `N` customers of the list")
	return cmd
}

type importer struct {
	asker
	offset int
}

func (i *importer) run(cmd *cobra.Command, args []string) error {
	if i.offset < 0 {
		return &usageError{text: "import: --offset must not be negative", command: cmd}
	}
	owner, kept, total := args[0], 0, 0
	for {
		page, err := i.page(cmd, owner)
		if err != nil {
			return &importError{err, owner, i.offset, total}
		}
		total = page.Total
		kept += page.Kept
		if page.Next == 0 {
			_, err := fmt.Fprintf(i.env.stdout, "%s: %s listed, %s new or changed\n", owner, plural(page.Total, "customer"), plural(kept, "grant"))
			return err
		}
		i.offset = page.Next
		fmt.Fprintf(i.env.stderr, "%d of %d\n", page.Next, page.Total)
	}
}

// page imports the page at i.offset.
func (i *importer) page(cmd *cobra.Command, owner string) (page clientlib.ImportPage, err error) {
	err = i.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
		page, err = c.Import(ctx, owner, i.offset)
		return err
	})
	if err == nil && page.Next != 0 && page.Next <= i.offset {
		err = errors.New("the daemon repeats a page") // and would repeat it forever
	}
	return page, err
}

// importError is the error of an incomplete import.
type importError struct {
	err    error
	owner  string
	offset int // of the page that failed
	total  int // number of customers; 0 if unknown
}

func (e *importError) Error() string { return e.err.Error() }
func (e *importError) Unwrap() error { return e.err }

// importPage is the number of customers in a page.
const importPage = 500

// hint is "" if no page has been imported.
func (e *importError) hint() string {
	if e.offset == 0 {
		return ""
	}
	if e.total > 0 && e.offset+importPage >= e.total {
		// Missing customers are detected on the last page, but may belong to any page.
		return fmt.Sprintf("all earlier pages were imported; to retry: tokend import %s", e.owner)
	}
	return fmt.Sprintf("to continue: tokend import %s --offset %d", e.owner, e.offset)
}
